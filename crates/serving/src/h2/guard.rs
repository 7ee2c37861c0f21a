//! Watching the frames of an HTTP/2 connection as bytes go by.
//!
//! Only the nine-byte frame headers are looked at. Floods of PING and
//! SETTINGS, which hyper answers for ever, and of resets, are counted here.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::PREFACE;
use crate::limits::Limits;
use crate::stream::Stream;

const SPAN: Duration = Duration::from_secs(10);
const HEADER: usize = 9;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    pings: u32,
    settings: u32,
    resets: u32,
}

/// What has been seen, shared with the connection's keeper.
#[derive(Debug)]
pub(super) struct Traffic {
    control_frames: u32,
    max_resets: u32,
    is_flood: Cell<bool>,
    unfinished_since: Cell<Option<Instant>>,
    waker: RefCell<Option<Waker>>,
}

impl Traffic {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            control_frames: limits.h2_control_frames,
            max_resets: limits.h2_resets,
            is_flood: Cell::new(false),
            unfinished_since: Cell::new(None),
            waker: RefCell::new(None),
        }
    }

    pub(super) const fn is_flood(&self) -> bool {
        self.is_flood.get()
    }

    /// As [`Self::is_flood`]; `cx` is woken when it becomes true.
    pub(super) fn watch_flood(&self, cx: &Context<'_>) -> bool {
        match &mut *self.waker.borrow_mut() {
            Some(waker) => waker.clone_from(cx.waker()),
            slot @ None => *slot = Some(cx.waker().clone()),
        }
        self.is_flood()
    }

    /// Since when a frame, or a head made of several, is half there.
    pub(super) const fn unfinished_since(&self) -> Option<Instant> {
        self.unfinished_since.get()
    }
}

/// The position within the incoming frames.
#[derive(Debug)]
struct Frames {
    /// Bytes of preface or payload to pass over.
    skip: usize,
    header: [u8; HEADER],
    have: usize,
    in_head: bool,
    counts: Counts,
    since: Instant,
}

impl Frames {
    fn new(now: Instant) -> Self {
        let header = [0; HEADER];
        Self {
            skip: PREFACE.len(),
            header,
            have: 0,
            in_head: false,
            counts: Counts::default(),
            since: now,
        }
    }

    fn see(&mut self, mut bytes: &[u8], traffic: &Traffic) {
        let now = Instant::now();
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = (HEADER - self.have).min(bytes.len());
            self.header[self.have..self.have + wanted].copy_from_slice(&bytes[..wanted]);
            self.have += wanted;
            bytes = &bytes[wanted..];
            if self.have == HEADER {
                self.frame(now, traffic);
            }
        }
        let is_unfinished = self.skip > 0 || self.have > 0 || self.in_head;
        traffic.unfinished_since.set(match traffic.unfinished_since.get() {
            Some(since) if is_unfinished && self.in_head => Some(since),
            _ if is_unfinished => Some(now),
            _ => None,
        });
    }

    fn frame(&mut self, now: Instant, traffic: &Traffic) {
        let [high, middle, low, kind, flags, ..] = self.header;
        self.have = 0;
        self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if now.duration_since(self.since) >= SPAN {
            self.since = now;
            self.counts = Counts::default();
        }
        match kind {
            PING if flags & ACK == 0 => self.counts.pings += 1,
            SETTINGS if flags & ACK == 0 => self.counts.settings += 1,
            RST_STREAM => self.counts.resets += 1,
            HEADERS | CONTINUATION => self.in_head = flags & END_HEADERS == 0,
            _ => {}
        }
        let Counts {
            pings,
            settings,
            resets,
        } = self.counts;
        let is_flood =
            pings > traffic.control_frames || settings > traffic.control_frames || resets > traffic.max_resets;
        if is_flood {
            traffic.is_flood.set(true);
        }
    }
}

/// A stream whose incoming frames are watched. After a flood it reads no more.
#[derive(Debug)]
pub(super) struct Guard {
    stream: Stream,
    input: BytesMut,
    frames: Frames,
    traffic: Rc<Traffic>,
}

impl Guard {
    pub(super) fn new(stream: Stream, input: BytesMut, traffic: Rc<Traffic>) -> Self {
        let mut frames = Frames::new(Instant::now());
        frames.see(&input, &traffic);
        Self {
            stream,
            input,
            frames,
            traffic,
        }
    }
}

impl AsyncRead for Guard {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.input.is_empty() {
            let take = this.input.len().min(buf.remaining());
            buf.put_slice(&this.input[..take]);
            this.input.advance(take);
            return Poll::Ready(Ok(()));
        }
        if this.traffic.is_flood() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        this.frames.see(&buf.filled()[before..], &this.traffic);
        if this.traffic.is_flood()
            && let Some(waker) = this.traffic.waker.borrow_mut().take()
        {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
