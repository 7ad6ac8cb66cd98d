//! A decision service that takes its time for each event, and counts those that it was told of.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::allowing::serve_by;

/// An empty message of gRPC: what every after callback is answered.
const TOLD: &[u8] = &[0; 5];

/// What the load calls the messages that it tells of: this and a number.
const EVENT: &[u8] = b"event-";

/// A running service.
#[derive(Debug)]
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    events: Arc<Mutex<Events>>,
}

#[derive(Debug, Default)]
struct Events {
    numbers: HashSet<u64>,
    /// When each was answered that had not been before.
    answered: Vec<Instant>,
}

impl Receiver {
    /// Serves on loopback until the runtime ends, and takes so long for each event.
    ///
    /// # Errors
    ///
    /// When the system gives no port.
    pub async fn start(takes: Duration) -> anyhow::Result<Self> {
        let events = Arc::<Mutex<Events>>::default();
        let told = Arc::clone(&events);
        let address = serve_by(move |event| {
            let told = Arc::clone(&told);
            async move {
                sleep(takes).await;
                if let Some(number) = number_of(&event) {
                    lock(&told).answered_one(number);
                }
                TOLD
            }
        })
        .await?;
        Ok(Self { address, events })
    }

    /// How many events it has answered, each counted once.
    #[must_use]
    pub fn events(&self) -> usize {
        lock(&self.events).answered.len()
    }

    /// How many of them in so long a time from the first on.
    #[must_use]
    pub fn events_within(&self, time: Duration) -> usize {
        let events = lock(&self.events);
        let Some(first) = events.answered.first() else { return 0 };
        events.answered.iter().filter(|at| **at - *first <= time).count()
    }
}

impl Events {
    fn answered_one(&mut self, number: u64) {
        if self.numbers.insert(number) {
            self.answered.push(Instant::now());
        }
    }
}

fn lock(events: &Mutex<Events>) -> MutexGuard<'_, Events> {
    events.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of the event whose message this is.
fn number_of(message: &[u8]) -> Option<u64> {
    let at = message.windows(EVENT.len()).position(|part| part == EVENT)?;
    let digits = message[at + EVENT.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    let digits: Vec<u8> = digits.copied().collect();
    str::from_utf8(&digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_number_of_its_message() {
        assert_eq!(number_of(b"\0\0\0\0\x0e\x0a\x03b-1\x22\x08event-42(\x05"), Some(42));
        assert_eq!(number_of(b"\0\0\0\0\x05\x0a\x03b-1"), None);
        assert_eq!(number_of(b"event-x"), None);
    }

    #[test]
    fn an_event_that_comes_again_counts_once() {
        let mut events = Events::default();
        for number in [1, 2, 1] {
            events.answered_one(number);
        }
        assert_eq!(events.answered.len(), 2);
    }
}
