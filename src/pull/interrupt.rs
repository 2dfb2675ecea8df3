//! The user's wish to stop: heard where there is something to put in order first.

use tokio::sync::watch;

/// Told by [`Interrupter::interrupt`]; clones hear the same.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<bool>);

/// Tells every [`Interrupt`].
#[derive(Debug)]
pub struct Interrupter(watch::Sender<bool>);

impl Interrupter {
    /// A pair of which nothing has been heard.
    pub fn new() -> (Self, Interrupt) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Interrupt(receiver))
    }

    /// Asks everything to stop.
    pub fn interrupt(&self) {
        self.0.send_replace(true);
    }
}

impl Interrupt {
    /// Whether a stop was asked for.
    pub fn is_heard(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when a stop is asked for; never if nobody can ask any more.
    pub async fn heard(&self) {
        if self.0.clone().wait_for(|is_asked| *is_asked).await.is_err() {
            std::future::pending().await
        }
    }
}
