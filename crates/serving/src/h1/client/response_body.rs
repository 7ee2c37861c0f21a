//! The body of a response from an upstream.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Connection, Home, Upload};
use crate::body::BodyError;
use crate::h1::chunked::{Decoded, Decoder};
use crate::h1::framing::Framing;
use crate::h1::read::poll_read_some;
use crate::h1::response_head::ResponseHead;

#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunks(Decoder),
    UntilClose,
}

/// Reads on while it is polled, and goes on sending the request if that is
/// not done. Ends by giving the connection back, or by closing it.
pub(crate) struct ResponseBody {
    /// `None` at the end, or after a failure.
    live: Option<Live>,
    error: Option<BodyError>,
    home: Option<Rc<dyn Home>>,
}

struct Live {
    connection: Connection,
    upload: Upload,
    rest: Rest,
    idle: Duration,
    is_persistent: bool,
}

impl ResponseBody {
    /// `None` when the response has no body; the connection is home by then.
    pub(super) fn new(
        connection: Connection,
        upload: Upload,
        head: &ResponseHead,
        idle: Duration,
        home: Option<Rc<dyn Home>>,
    ) -> Option<Self> {
        let is_persistent = head.is_persistent;
        let rest = match head.framing {
            Framing::Empty => {
                give_back(connection, &upload, is_persistent, home.as_deref());
                return None;
            }
            Framing::Length(length) => Rest::Length(length),
            Framing::Chunked => Rest::Chunks(Decoder::new()),
            Framing::UntilClose => Rest::UntilClose,
        };
        let mut live = Live {
            connection,
            upload,
            rest,
            idle,
            is_persistent,
        };
        live.wait();
        Some(Self {
            live: Some(live),
            error: None,
            home,
        })
    }

    pub(crate) const fn is_end(&self) -> bool {
        self.live.is_none() && self.error.is_none()
    }

    pub(crate) const fn remaining(&self) -> Option<u64> {
        match &self.live {
            Some(Live {
                rest: Rest::Length(left),
                ..
            }) => Some(*left),
            Some(_) => None,
            None => Some(0),
        }
    }

    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let Some(live) = &mut self.live else {
            return Poll::Ready(self.error.clone().map_or(Ok(None), Err));
        };
        let polled = ready!(live.poll_data(cx));
        match &polled {
            Ok(Some(_)) if !live.is_complete() => live.wait(),
            Ok(_) => self.end(),
            Err(error) => {
                self.error = Some(error.clone());
                self.live = None;
            }
        }
        Poll::Ready(polled)
    }

    fn end(&mut self) {
        if let Some(live) = self.live.take() {
            let home = self.home.take();
            give_back(live.connection, &live.upload, live.is_persistent, home.as_deref());
        }
    }
}

fn give_back(mut connection: Connection, upload: &Upload, is_persistent: bool, home: Option<&dyn Home>) {
    let Some(home) = home else { return };
    if is_persistent && upload.is_done() && connection.input.is_empty() {
        connection.timer.clear();
        connection.input = bytes::BytesMut::new();
        connection.output.release();
        home.give_back(connection);
    }
}

impl Live {
    const fn is_complete(&self) -> bool {
        match &self.rest {
            Rest::Length(left) => *left == 0,
            Rest::Chunks(decoder) => decoder.is_end(),
            Rest::UntilClose => false,
        }
    }

    fn wait(&mut self) {
        self.connection.timer.set(Instant::now() + self.idle);
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let connection = &mut self.connection;
        if !self.upload.is_done() {
            let written = self
                .upload
                .poll(&mut connection.stream, &mut connection.output, cx)?
                .written;
            if written > 0 {
                connection.timer.set(Instant::now() + self.idle);
            }
        }
        loop {
            match self.decode()? {
                Decoded::Data(data) => return Poll::Ready(Ok(Some(data))),
                Decoded::End => return Poll::Ready(Ok(None)),
                Decoded::NeedMore => {}
            }
            let connection = &mut self.connection;
            let read = poll_read_some(&mut connection.stream, &mut connection.input, cx);
            match read {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) if matches!(self.rest, Rest::UntilClose) => {
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(BodyError::Incomplete)),
                Poll::Ready(Ok(_)) => {}
            }
        }
        ready!(self.connection.timer.poll_expired(cx));
        Poll::Ready(Err(BodyError::Timeout))
    }

    /// What the bytes at hand amount to.
    fn decode(&mut self) -> Result<Decoded, BodyError> {
        let input = &mut self.connection.input;
        match &mut self.rest {
            Rest::Length(0) => Ok(Decoded::End),
            Rest::Chunks(decoder) => Ok(decoder.decode(input)?),
            Rest::Length(_) | Rest::UntilClose if input.is_empty() => Ok(Decoded::NeedMore),
            Rest::Length(left) => {
                let take = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= take as u64;
                Ok(Decoded::Data(input.split_to(take).freeze()))
            }
            Rest::UntilClose => Ok(Decoded::Data(input.split().freeze())),
        }
    }
}
