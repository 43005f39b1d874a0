//! `ListOrphans`.

use crate::users::access::Caller;
use crate::users::errors;
use crate::users::filter;
use crate::users::page::{Page, Start};
use crate::users::state::Services;
use crate::users::view::{count, source, total};
use jiff::Timestamp;
use segment_core::assignment::EntryId;
use segment_core::ids::{ClusterName, KeyHash, SegmentKey};
use segment_proto::limits::{PAGE_DEFAULT, PAGE_MAX};
use segment_proto::v1::{ListOrphansRequest, ListOrphansResponse, Orphan};
use tonic::Status;

impl Services {
    pub(super) async fn orphans(
        &self,
        caller: &Caller,
        request: ListOrphansRequest,
    ) -> Result<ListOrphansResponse, Status> {
        let now = Timestamp::now();
        let page = (request.page_size, request.page_token.clone());
        let request = ListOrphansRequest {
            page_size: 0,
            page_token: String::new(),
            ..request
        };
        let start = Start::new(page.0, &page.1, &request, (PAGE_DEFAULT, PAGE_MAX))?;
        let on = filter::maybe_cluster("cluster", &request.cluster)?;
        self.access
            .authz()
            .require(&caller.user, &caller.row.right, None, None)
            .await?;
        let after = start.after().and_then(position);
        let mut shown = Page::new(&start);
        let (mut last, mut more, mut all) = (None, false, 0_usize);
        {
            let index = self.fleet().index();
            if let Some(name) = &on
                && !index.clusters().contains_key(name)
            {
                return Err(errors::not_found("cluster", name.as_str()));
            }
            for (cluster, entry, key) in index.orphans() {
                if on.as_ref().is_some_and(|name| name != cluster) {
                    continue;
                }
                all += 1;
                if after
                    .as_ref()
                    .is_some_and(|(name, hash)| (cluster, entry.key) <= (name, *hash))
                {
                    continue;
                }
                if shown.is_full() {
                    more = true;
                    continue;
                }
                shown.push(orphan(cluster, entry, key));
                last = Some(format!("{cluster}@{}", entry.key));
            }
        }
        let all = count(all);
        let next = last.filter(|_| more).map(|last| start.next(&last, 0, all));
        Ok(ListOrphansResponse {
            orphans: shown.items,
            next_page_token: next.unwrap_or_default(),
            total_size: Some(total(all)),
            source: Some(source(&self.handle, now)),
        })
    }
}

fn orphan(cluster: &ClusterName, entry: &EntryId, key: Option<&SegmentKey>) -> Orphan {
    Orphan {
        cluster: cluster.to_string(),
        segment: key.map(ToString::to_string).unwrap_or_default(),
        key_hash: entry.key.to_string(),
        uid: entry.uid.to_string(),
        revision: entry.revision.to_string(),
    }
}

/// `cluster@hash`.
fn position(text: &str) -> Option<(ClusterName, KeyHash)> {
    let (name, hash) = text.split_once('@')?;
    Some((name.parse().ok()?, hash.parse().ok()?))
}
