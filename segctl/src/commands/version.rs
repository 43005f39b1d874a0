//! `version`: ours, and the hub's.

use crate::api::{Hub, hub_rpc};
use crate::args::{Globals, VersionArgs};
use crate::exit::{Exit, Failure};
use crate::output;
use segment_proto::v1::GetHubRequest;

pub(super) async fn run(globals: &Globals, args: &VersionArgs) -> Result<Exit, Failure> {
    let ours = env!("CARGO_PKG_VERSION");
    let hub = if args.client {
        None
    } else {
        let answer = async {
            Hub::find(globals)
                .await?
                .call(hub_rpc::get(), GetHubRequest {})
                .await
        }
        .await;
        match answer {
            Ok(answer) => answer.hub,
            Err(failure) => {
                // As kubectl: what is known is said, and then why the rest is not.
                print(args, ours, None)?;
                return Err(failure);
            }
        }
    };
    print(args, ours, hub.map(|hub| hub.version).as_deref())?;
    Ok(Exit::Yes)
}

fn print(args: &VersionArgs, ours: &str, hub: Option<&str>) -> Result<(), Failure> {
    output::document(
        args.output,
        || {
            let mut value = serde_json::json!({ "client": ours });
            if let Some(hub) = hub {
                value["hub"] = hub.into();
            }
            Ok(value)
        },
        || {
            let hub = hub.map(|hub| format!("hub:    {}\n", crate::text::one_line(hub)));
            format!("segctl: {ours}\n{}", hub.unwrap_or_default())
        },
    )
}
