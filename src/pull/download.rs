//! The bytes of one blob: several connections fetch ranges of it at once, and a sink takes them.
//!
//! Each worker asks for the next range, hands what comes to the sink and tells how it ended; what is next is decided
//! in [`super::work`], when to give up in [`super::failures`], and how many connections there are in
//! [`super::connections`].

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::batch::Batch;
use super::connections::Connections;
use super::failures::{Failures, Verdict};
use super::scout::Scout;
use super::work::{Chunk, Mode, Step, Work};
use super::{Error, Interrupt, Result, Session, join};
use crate::cause::one_line;
use crate::manifest::Descriptor;
use crate::registries_conf::Endpoint;
use crate::registry::{self, Body, Cause, Source};

/// How many bytes are gathered for the sink; smaller writes cost twice the processor time.
const BATCH_BYTES: u64 = 512 * 1024;
/// How long bytes are gathered at most: what a slow connection brings is not to be lost, and is seen to come.
const BATCH_TIME: Duration = Duration::from_secs(1);
/// How often a connection with nothing to do looks whether another one is slow.
const LOOK: Duration = Duration::from_millis(500);
/// An answer may take so many times longer to begin than to go on.
const BEGIN: u32 = 4;
/// A wait as long as this is worth a word to the user.
const LONG_WAIT: Duration = Duration::from_secs(5);

/// Takes the bytes of one blob, in any order.
pub(super) trait Sink: Send + Sync + 'static {
    /// The bytes that were not taken yet, in ascending order.
    fn missing(&self) -> Vec<std::ops::Range<u64>>;

    /// Up to where bytes may be asked for now.
    fn horizon(&self) -> u64;

    /// Takes pieces that lie one behind the other from `offset` on, and says how many bytes were new.
    fn take(&self, offset: u64, pieces: Vec<Bytes>) -> impl Future<Output = Result<u64>> + Send;
}

/// Waits, and tells how long that took.
async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let result = work.await;
    (result, began.elapsed())
}

/// One blob on its way into a sink.
pub(super) struct Download<S> {
    session: Session,
    connections: Arc<Connections>,
    source: Arc<Source>,
    blob: Descriptor,
    name: String,
    sink: Arc<S>,
    /// Told when there may be something to do for a worker that had nothing to do.
    changed: Arc<Notify>,
    received: Arc<AtomicU64>,
    /// Behind the last byte the sink takes.
    end: u64,
    state: Mutex<State>,
}

struct State {
    work: Work,
    failures: Failures,
    /// No request is sent before this.
    not_before: Instant,
    /// Bytes that came, those that came twice and those of no use too.
    taken: u64,
    /// Whether the registry has sent everything where a range was asked for.
    ignores_ranges: bool,
}

impl<S: Sink> Download<S> {
    /// Prepares to fetch what `sink` does not have; it tells `changed` when its horizon has moved.
    pub fn new(
        session: &Session,
        connections: &Arc<Connections>,
        source: Arc<Source>,
        name: &str,
        sink: &Arc<S>,
        changed: &Arc<Notify>,
    ) -> Self {
        let mode = if connections.serves_ranges() { Mode::Ranges } else { Mode::Probe };
        let blob = source.blob().clone();
        let work = Work::new(blob.size, mode, sink.missing());
        Self {
            session: session.clone(),
            connections: Arc::clone(connections),
            source,
            name: name.to_owned(),
            sink: Arc::clone(sink),
            changed: Arc::clone(changed),
            received: Arc::default(),
            end: blob.size,
            blob,
            state: Mutex::new(State {
                work,
                failures: Failures::default(),
                not_before: Instant::now(),
                taken: 0,
                ignores_ranges: false,
            }),
        }
    }

    /// Adds to `received` the bytes that come; what an earlier download has received counts with them.
    pub fn counting(mut self, received: &Arc<AtomicU64>) -> Self {
        self.received = Arc::clone(received);
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner).taken = received.load(Ordering::Relaxed);
        self
    }

    /// Reads no answer beyond `end`, for a sink that takes only what lies before it.
    pub fn up_to(mut self, end: u64) -> Self {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner).work.end_at(end);
        Self { end, ..self }
    }

    /// Uses one connection, and no ranges where nothing is here yet.
    pub fn in_one_stream(mut self) -> Self {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.work = Work::new(self.end, Mode::OneStream, self.sink.missing());
        self
    }

    /// Fetches; nothing is under way any more when this returns, but for what the sink has been given.
    pub async fn run(self, stop: &Interrupt) -> Result<()> {
        let missing: u64 = self.sink.missing().iter().map(|range| range.end - range.start).sum();
        let count = self.connections.useful(missing);
        let this = Arc::new(self);
        let mut workers = JoinSet::new();
        for _ in 0..count {
            workers.spawn(Arc::clone(&this).work());
        }
        let ended = tokio::select! {
            ended = join(&mut workers) => ended,
            () = stop.heard() => Err(Error::Interrupted),
            never = this.leave_slow_places() => match never {},
        };
        workers.shutdown().await;
        ended
    }

    /// Has what a slow mirror is sending fetched from a faster place, as often as there is one.
    async fn leave_slow_places(&self) -> Infallible {
        let scout = Scout { connections: &self.connections, source: &self.source };
        while scout.run().await {
            self.state().work.interrupt();
        }
        std::future::pending().await
    }

    async fn work(self: Arc<Self>) -> Result<()> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let slot = self.connections.slot().await;
            match self.next() {
                Step::Done => return Ok(()),
                Step::Wait => {
                    drop(slot);
                    let pause = self.state().not_before.saturating_duration_since(Instant::now());
                    let _ = timeout(if pause.is_zero() { LOOK } else { pause }, changed).await;
                }
                Step::Ask(chunk) => {
                    let mut endpoint = None;
                    let fetched = tokio::select! {
                        fetched = self.fetch(&chunk, &mut endpoint) => fetched,
                        () = chunk.taken.notified() => Ok(()),
                    };
                    drop(slot);
                    self.settle(&chunk, fetched, endpoint.as_ref())?;
                    self.changed.notify_waiters();
                }
            }
        }
    }

    fn next(&self) -> Step {
        let now = Instant::now();
        let mut state = self.state();
        if now < state.not_before {
            return Step::Wait;
        }
        let (round, usual) = (state.failures.round(), self.connections.usual_speed());
        state.work.next(self.connections.chunk(), self.sink.horizon(), usual, round, now)
    }

    /// Fetches a chunk, and notes which of the repository's places answers.
    async fn fetch(&self, chunk: &Chunk, endpoint: &mut Option<Arc<Endpoint>>) -> Result<()> {
        let mut body = self.open(chunk).await?;
        *endpoint = Some(Arc::clone(body.endpoint()));
        let start = body.start();
        let mut batch = self.gather(&mut body, start, chunk).await;
        loop {
            let (offset, length, end) = (batch.offset, batch.length, batch.end.take());
            let taken = self.take(chunk, offset, length, batch.pieces);
            if let Some(end) = end {
                taken.await?;
                return Ok(end?);
            }
            // The next bytes are received while these are written.
            let next = self.gather(&mut body, offset + length, chunk);
            let ((taken, taking), (next, receiving)) = tokio::join!(timed(taken), timed(next));
            if taking > receiving {
                self.connections.hold_up();
            }
            taken?;
            batch = next;
        }
    }

    /// Asks for the chunk, and for a registry that sends everything instead sees whether that is of use.
    async fn open(&self, chunk: &Chunk) -> Result<Body> {
        let asked = if chunk.mode == Mode::Whole { 0..self.blob.size } else { chunk.start..chunk.end() };
        let patience = self.session.settings.stall * BEGIN;
        let body = match timeout(patience, self.source.open(&asked)).await {
            Ok(body) => body?,
            Err(_) => {
                let host = self.source.reference().registry().to_owned();
                let source = Cause::Timeout(patience);
                return Err(registry::Error::Unreachable { host, source }.into());
            }
        };
        if body.start() >= asked.start && body.end() <= asked.end {
            if asked != (0..self.blob.size) {
                self.state().work.serves_ranges();
                self.connections.learn_ranges();
                self.changed.notify_waiters();
            }
            return Ok(body);
        }
        if chunk.mode == Mode::Ranges {
            let reason = format!("the whole blob came, asked for were bytes {}-{}", asked.start, asked.end - 1);
            return Err(registry::Error::Range { url: body.url().clone(), reason }.into());
        }
        tracing::info!(blob = %self.blob.digest, url = %body.url(), "ranges are ignored, using one stream");
        {
            let mut state = self.state();
            state.ignores_ranges = true;
            state.work.refused(chunk);
        }
        chunk.extend(self.end);
        Ok(body)
    }

    /// Receives from `offset` on until there is enough for the sink, or until the chunk or the answer ends.
    async fn gather(&self, body: &mut Body, offset: u64, chunk: &Chunk) -> Batch {
        let (mut batch, began) = (Batch::new(offset), Instant::now());
        while batch.length < BATCH_BYTES && batch.end.is_none() {
            let is_empty = batch.length == 0;
            let stall = self.session.settings.stall;
            let patience = if is_empty { stall } else { BATCH_TIME.saturating_sub(began.elapsed()).min(stall) };
            match timeout(patience, body.chunk()).await {
                Ok(Ok(Some(mut piece))) => {
                    let wanted = chunk.end().saturating_sub(offset + batch.length);
                    piece.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
                    self.connections.received(piece.len() as u64);
                    self.received.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    batch.push(piece);
                    // What ends together with the answer is read to the answer's end, so that its connection is kept.
                    let is_cut = offset + batch.length >= chunk.end() && body.end() > chunk.end();
                    batch.end = is_cut.then_some(Ok(()));
                }
                Ok(Ok(None)) => batch.end = Some(Ok(())),
                Ok(Err(error)) => batch.end = Some(Err(error)),
                Err(_) if !is_empty => break,
                Err(_) => {
                    let source = Cause::Timeout(stall);
                    batch.end = Some(Err(registry::Error::Interrupted { url: body.url().clone(), source }));
                }
            }
        }
        batch
    }

    async fn take(&self, chunk: &Chunk, offset: u64, length: u64, pieces: Vec<Bytes>) -> Result<()> {
        if length == 0 {
            return Ok(());
        }
        let new = self.sink.take(offset, pieces).await?;
        chunk.advance(offset + length);
        self.session.progress.advanced(&self.blob.digest, new);
        self.state().taken += length;
        Ok(())
    }

    /// Notes how a chunk ended; an error is one that ends the download.
    fn settle(&self, chunk: &Arc<Chunk>, fetched: Result<()>, endpoint: Option<&Arc<Endpoint>>) -> Result<()> {
        let now = Instant::now();
        let mut state = self.state();
        // Seen before the lock is held, it could name what another chunk has brought and ended with since.
        let missing = self.sink.missing();
        let absent: u64 = missing.iter().map(|range| range.end - range.start).sum();
        let took = state.work.end(chunk, missing, now);
        self.connections.ended(chunk.position() - chunk.start, took);
        // Whose bytes have come before is there, even if its name cannot be found just now.
        let is_known = self.connections.total() > 0;
        let error = match fetched {
            Err(Error::Registry(error)) if error.may_pass(is_known) || error.refuses_range() => error,
            Err(Error::Registry(error)) if endpoint.is_some_and(|by| error.is_of(by) && self.source.leave(by)) => error,
            other => return other,
        };
        match &error {
            registry::Error::Unusable { .. } => state.work.begin_anew(),
            error if error.refuses_range() => state.work.refused(chunk),
            _ => {}
        }
        tracing::info!(blob = %self.blob.digest, %error, "asking again");
        let verdict = state.failures.note(&error, chunk.round, self.blob.size - absent, now, &self.session.settings);
        // Connections that fail together are one failure, and who serves no ranges may serve the whole.
        let is_counted = verdict != Verdict::Again && !error.refuses_range();
        self.source.note_failure(endpoint.filter(|_| is_counted));
        // Connections that are refused together are one refusal.
        if error.is_overload() && verdict != Verdict::Again {
            self.connections.back_off();
        }
        if verdict.goes_on() && self.is_too_costly(&state, chunk, &error, absent) {
            return Err(Error::Unresumable { name: self.name.clone(), source: error.into() });
        }
        self.conclude(&mut state, verdict, error, now)
    }

    /// Whether going on could bring more than twice the blob, as where a registry begins at the first byte each time.
    fn is_too_costly(&self, state: &State, chunk: &Chunk, error: &registry::Error, absent: u64) -> bool {
        let asks_for_all = chunk.mode == Mode::Whole || (chunk.mode == Mode::OneStream && error.refuses_range());
        let next = if asks_for_all || state.ignores_ranges { self.blob.size } else { absent };
        state.taken.saturating_add(next) > self.blob.size.saturating_mul(2)
    }

    /// Waits, or ends the download, as the failures say.
    fn conclude(&self, state: &mut State, verdict: Verdict, error: registry::Error, now: Instant) -> Result<()> {
        match verdict {
            Verdict::Again => Ok(()),
            Verdict::Wait(pause) => {
                state.not_before = now + pause;
                if pause >= LONG_WAIT {
                    let (name, seconds) = (&self.name, pause.as_secs());
                    self.session.progress.note(&format!("{name}: {}; asking again in {seconds} s", one_line(&error)));
                }
                Ok(())
            }
            Verdict::GiveUp(attempts, spent) => {
                Err(Error::Exhausted { name: self.name.clone(), attempts, spent, source: error.into() })
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
