//! Pauses between attempts to reach an endpoint.

use std::time::Duration;

/// The longest pause where every attempt counts: nobody has found the endpoint yet, or no endpoint is healthy. So a
/// service that comes, or comes back, is found within 200 ms. A refused connection costs next to nothing.
const SHORT: Duration = Duration::from_millis(100);

/// Doubles the pause with each attempt, between two bounds.
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    pub(super) fn pause(&mut self) -> Duration {
        let pause = jittered(self.next);
        self.next = (self.next * 2).min(self.max);
        pause
    }

    pub(super) const fn reset(&mut self) {
        self.next = self.min;
    }

    /// Whether there was no pause since the last reset.
    pub(super) fn is_reset(&self) -> bool {
        self.next == self.min
    }
}

/// A pause from 50 to 100 ms.
pub(super) fn short() -> Duration {
    jittered(SHORT)
}

/// Between half of `pause` and all of it, so that many bridges do not act in step.
pub(super) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_bound_and_half_of_it_is_chance() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(50), ms(300));
        for _ in 0..2 {
            assert!(backoff.is_reset());
            for most in [50, 100, 200, 300, 300] {
                let pause = backoff.pause();
                assert!((ms(most) / 2..=ms(most)).contains(&pause), "{pause:?} of {most} ms");
                assert!(!backoff.is_reset());
            }
            backoff.reset();
        }
        assert!((ms(50)..=ms(100)).contains(&short()));
    }
}
