//! Frees a lock: deletes its object, or, where that is refused, writes over it that its run is over.

use super::{Place, Record, Seen, TRIES, Written};
use crate::account::{Kind, When};

/// `Ok(false)`: it is somebody else's by now. The error says why it may still be there.
pub(super) async fn free(place: &Place, mut seen: Seen) -> Result<bool, String> {
    let nonce = seen.record.nonce.clone();
    let mut why = String::new();
    for _ in 0..TRIES {
        let error = match place.account.delete_object(&place.bucket, &place.key, When::Unchanged(&seen.etag)).await {
            Ok(()) => return Ok(true),
            Err(error) => error,
        };
        why = error.to_string();
        match error.kind {
            Kind::NotFound => return Ok(true),
            Kind::Conflict | Kind::Lost => {}
            Kind::Denied | Kind::Expired | Kind::Throttled | Kind::Invalid | Kind::Unavailable | Kind::Unreachable => break,
        }
        match place.read().await.map_err(|e| e.to_string())? {
            Some(now) if !now.record.ended && now.record.nonce == nonce => seen = now,
            Some(now) if !now.record.ended => return Ok(false),
            Some(_) | None => return Ok(true),
        }
    }
    mark(place, &seen, why).await
}

/// Who may write the lock but not delete it, or whose deletion fails, can still say that nobody has it.
async fn mark(place: &Place, seen: &Seen, why: String) -> Result<bool, String> {
    let beat = seen.record.beat + 1;
    let record = Record { beat, lease_seconds: 0, ended: true, at: place.now(), ..seen.record.clone() };
    match place.write(&record, When::Unchanged(&seen.etag)).await {
        Ok(Written::Yes(_)) => return Ok(true),
        Ok(Written::Unclear) => {}
        Err(error) => return Err(format!("{why}; and it could not be written that it is free: {error}")),
    }
    match place.read().await.map_err(|e| e.to_string())? {
        Some(now) if !now.record.ended && now.record.nonce == seen.record.nonce => Err(why),
        Some(now) => Ok(now.record.ended),
        None => Ok(true),
    }
}
