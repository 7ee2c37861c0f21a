//! Bytes on their way out, gathered so that one response is one write.

use std::collections::VecDeque;
use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::stream::Stream;

/// Below this a copy is cheaper than another slice for the kernel.
const COPY_BELOW: usize = 2 << 10;
/// No more is asked of a body while this much waits for the socket.
pub(crate) const HIGH_WATER: usize = 64 << 10;
/// Slices of one vectored write.
const SLICES: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Output {
    ready: VecDeque<Bytes>,
    tail: BytesMut,
    len: usize,
}

impl Output {
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.len >= HIGH_WATER
    }

    /// Appends by writing into the buffer.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let before = self.tail.len();
        write(&mut self.tail);
        self.len += self.tail.len() - before;
    }

    /// Appends bytes, without a copy where they are many.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        if bytes.len() < COPY_BELOW {
            self.tail.extend_from_slice(&bytes);
            return;
        }
        if !self.tail.is_empty() {
            self.ready.push_back(self.tail.split().freeze());
        }
        self.ready.push_back(bytes);
    }

    /// Appends one chunk of the chunked coding.
    pub(crate) fn push_chunk(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            // A chunk of size zero would be the end.
            return;
        }
        self.write(|tail| write_size_line(tail, bytes.len()));
        self.push(bytes);
        self.write(|tail| tail.extend_from_slice(b"\r\n"));
    }

    /// Appends the end of the chunked coding.
    pub(crate) fn push_last_chunk(&mut self) {
        self.write(|tail| tail.extend_from_slice(b"0\r\n\r\n"));
    }

    /// Gives the memory back once nothing waits.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Writes once as much as fits; `Ready(Ok(0))` when nothing is left.
    ///
    /// # Errors
    /// Those of the stream, and `WriteZero` when it takes nothing.
    pub(crate) fn poll_write(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let stream = Pin::new(stream);
        let written = if self.ready.is_empty() {
            ready!(stream.poll_write(cx, &self.tail))?
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let parts = self.ready.iter().map(|part| &part[..]).chain([&self.tail[..]]);
            let mut count = 0;
            for (slice, part) in slices.iter_mut().zip(parts) {
                *slice = IoSlice::new(part);
                count += 1;
            }
            ready!(stream.poll_write_vectored(cx, &slices[..count]))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(written))
    }

    fn advance(&mut self, mut written: usize) {
        self.len -= written;
        while let Some(front) = self.ready.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.ready.pop_front();
        }
        if written == self.tail.len() {
            self.tail.clear();
        } else {
            self.tail.advance(written);
        }
    }
}

fn write_size_line(tail: &mut BytesMut, size: usize) {
    let mut digits = [0; 2 * size_of::<usize>() + 2];
    let mut at = digits.len() - 2;
    digits[at..].copy_from_slice(b"\r\n");
    let mut rest = size;
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    tail.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn size_lines_are_hexadecimal() {
        let mut tail = BytesMut::new();
        for size in [1, 10, 16, 255, 65536, usize::MAX] {
            write_size_line(&mut tail, size);
        }
        assert_eq!(&tail[..], &b"1\r\na\r\n10\r\nff\r\n10000\r\nffffffffffffffff\r\n"[..]);
    }

    #[tokio::test]
    async fn parts_leave_in_order_through_a_narrow_pipe() {
        let (near, mut far) = tokio::io::duplex(7);
        let mut stream = Stream::from(near);
        let mut output = Output::default();
        let mut expected = Vec::new();
        for size in [1, 3000, 5, 5000, 2, 2048] {
            let part = Bytes::from(vec![u8::try_from(size % 251).unwrap(); size]);
            expected.extend_from_slice(&part);
            output.push(part);
        }
        let reader = async {
            let mut got = vec![0; expected.len()];
            far.read_exact(&mut got).await.unwrap();
            got
        };
        let writer = async {
            while std::future::poll_fn(|cx| output.poll_write(&mut stream, cx))
                .await
                .unwrap()
                > 0
            {}
        };
        let (got, ()) = tokio::join!(reader, writer);
        assert!(got == expected);
        assert!(output.is_empty());
    }
}
