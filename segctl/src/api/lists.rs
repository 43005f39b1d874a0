//! Lists, read to their last page.

use super::{Hub, cluster_rpc, segment_rpc};
use crate::exit::Failure;
use segment_proto::v1::{
    ListAssignmentsRequest, ListAssignmentsResponse, ListClustersRequest, ListClustersResponse,
    ListOrphansRequest, ListOrphansResponse, ListSegmentsRequest, ListSegmentsResponse,
};

macro_rules! list {
    ($(#[$doc:meta])* $fn:ident $rpc:expr, $request:ident $answer:ident $items:ident) => {
        $(#[$doc])*
        pub(crate) async fn $fn(hub: &Hub, mut request: $request) -> Result<$answer, Failure> {
            let mut all = hub.call($rpc, request.clone()).await?;
            while !all.next_page_token.is_empty() {
                request.page_token = std::mem::take(&mut all.next_page_token);
                let page = hub.call($rpc, request.clone()).await?;
                all.$items.extend(page.$items);
                // A token that repeats would never end.
                if page.next_page_token == request.page_token {
                    break;
                }
                all.next_page_token = page.next_page_token;
            }
            Ok(all)
        }
    };
}

list! {
    /// All Segments that match.
    segments segment_rpc::list(), ListSegmentsRequest ListSegmentsResponse segments
}
list! {
    /// All assignments that match.
    assignments segment_rpc::list_assignments(), ListAssignmentsRequest ListAssignmentsResponse assignments
}
list! {
    /// All orphans that match.
    orphans segment_rpc::list_orphans(), ListOrphansRequest ListOrphansResponse orphans
}
list! {
    /// All Clusters that match.
    clusters cluster_rpc::list(), ListClustersRequest ListClustersResponse clusters
}
