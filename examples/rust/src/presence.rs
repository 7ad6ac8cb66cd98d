//! An after callback: when each user was last seen online.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tonic::{Request, Response, Status};

use crate::contract::{
    AfterUserOnlineRequest, AfterUserOnlineResponse, user_callback_service_server::UserCallbackService,
};

/// `OpenIM` tells it afterwards, and the bridge delivers it: perhaps twice, since it retries, and not always in order.
/// So the latest time counts, whatever comes when.
#[derive(Default)]
pub struct Presence {
    /// Unix milliseconds by user ID. A service of several pods keeps it in a database.
    last_seen: Mutex<HashMap<String, i64>>,
}

#[tonic::async_trait]
impl UserCallbackService for Presence {
    async fn after_user_online(
        &self,
        request: Request<AfterUserOnlineRequest>,
    ) -> Result<Response<AfterUserOnlineResponse>, Status> {
        let AfterUserOnlineRequest { user_id, time_ms, .. } = request.into_inner();
        let mut last_seen = self.last_seen.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = last_seen.entry(user_id).or_default();
        *latest = time_ms.max(*latest);
        // The answer only says that it need not be delivered again.
        Ok(Response::new(AfterUserOnlineResponse {}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_latest_time_counts() -> Result<(), Status> {
        let presence = Presence::default();
        // Delivered twice, and an older one late.
        for time_ms in [2000, 2000, 1000] {
            let request = AfterUserOnlineRequest { user_id: "u1".to_owned(), time_ms, ..Default::default() };
            presence.after_user_online(Request::new(request)).await?;
        }
        let last_seen = presence.last_seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(last_seen, HashMap::from([("u1".to_owned(), 2000)]));
        Ok(())
    }
}
