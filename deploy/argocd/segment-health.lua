-- Health of a Segment for Argo CD: resource.customizations.health.segment.grnry.io_Segment in ConfigMap argocd-cm.
--
-- Delivered is not the same as well: a Segment is Ready once every cluster has it, and a run that failed blocks no sync
-- wave. It is shown as Degraded all the same, as Argo CD itself shows a CronJob whose last Job failed.

local health = { status = "Progressing", message = "the hub has not looked at it yet" }
local status = obj.status
if status == nil or status.observedGeneration == nil or status.observedGeneration < 0 then
  return health
end
if obj.metadata ~= nil and obj.metadata.deletionTimestamp ~= nil then
  health.message = "being removed from its clusters"
  return health
end
if obj.metadata ~= nil and obj.metadata.generation ~= nil and obj.metadata.generation ~= status.observedGeneration then
  health.message = "the hub has not looked at the newest spec yet"
  return health
end

local conditions = {}
if status.conditions ~= nil then
  for _, condition in ipairs(status.conditions) do
    conditions[condition.type] = condition
  end
end
local function is(kind, wanted)
  return conditions[kind] ~= nil and conditions[kind].status == wanted
end
local function say(word, kind, otherwise)
  health.status = word
  health.message = otherwise or ""
  if conditions[kind] ~= nil and conditions[kind].message ~= nil and conditions[kind].message ~= "" then
    health.message = conditions[kind].message
  end
  return health
end

if is("Stalled", "True") then
  return say("Degraded", "Stalled")
end
if is("Paused", "True") then
  return say("Suspended", "Paused", "paused")
end
if obj.spec ~= nil and obj.spec.cronjob ~= nil and obj.spec.cronjob.suspend == true then
  health.status = "Suspended"
  health.message = "spec.cronjob.suspend is set"
  return health
end
if is("RunsSucceeding", "False") then
  return say("Degraded", "RunsSucceeding")
end
if is("Ready", "True") then
  return say("Healthy", "Ready")
end
return say("Progressing", "Ready", "it goes out")
