//! A file's bytes as a list of shared pages: copies share every page until one of them writes.

use std::sync::Arc;

use bytes::Bytes;

/// Bytes per page. Small enough that copying a shared page before a small overwrite is cheap, large
/// enough that a fetch of a mebibyte is few pieces.
pub(super) const PAGE: usize = 32 * 1024;

/// One page; `None` is a page of zeros. The vector may be shorter than the page: the rest is zeros.
pub(super) type Page = Option<Arc<Vec<u8>>>;

/// The bytes of a file. Cloning costs a word per page and shares the bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// Exactly as many as `len` needs.
    pages: Vec<Page>,
    len: u64,
}

impl Content {
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Page `index`; a page past the end is zeros.
    pub(super) fn page(&self, index: usize) -> Page {
        self.pages.get(index).cloned().flatten()
    }

    /// Puts `page` in the place of page `index`, which must be inside the file.
    pub(super) fn set_page(&mut self, index: usize, page: Page) {
        let keep = self.len - index as u64 * PAGE as u64;
        self.pages[index] = page;
        self.cut_page(index, usize::try_from(keep).unwrap_or(PAGE).min(PAGE));
    }

    /// Copies bytes from `position` on into `buf`; how many: fewer than asked only at the end.
    pub(super) fn read(&self, position: u64, buf: &mut [u8]) -> usize {
        let end = self.len.min(position.saturating_add(buf.len() as u64));
        let mut done = 0;
        for piece in pieces(position, end) {
            let target = &mut buf[done..done + piece.len];
            copy_padded(self.pages[piece.page].as_ref(), piece.offset, target);
            done += piece.len;
        }
        done
    }

    /// The bytes of `position..end`, which must be inside the file. Full pages are shared, the
    /// page that may still grow is copied, so that a reader never makes an append copy it.
    pub(super) fn chunks(&self, position: u64, end: u64) -> Vec<Bytes> {
        let chunk = |piece: Piece| match &self.pages[piece.page] {
            Some(page) if page.len() == PAGE => Bytes::from_owner(SharedPage(Arc::clone(page)))
                .slice(piece.offset..piece.offset + piece.len),
            page => {
                let mut copy = vec![0; piece.len];
                copy_padded(page.as_ref(), piece.offset, &mut copy);
                copy.into()
            }
        };
        pieces(position, end).map(chunk).collect()
    }

    /// Writes `data` at `position`, growing the file with zeros where it ends before.
    pub(super) fn write(&mut self, position: u64, data: &[u8]) {
        let end = position + data.len() as u64;
        if end > self.len {
            self.set_len(end);
        }
        let mut rest = data;
        for piece in pieces(position, end) {
            let (now, later) = rest.split_at(piece.len);
            rest = later;
            let page = &mut self.pages[piece.page];
            // A prewritten file is mostly zeros: it costs nothing until something is in it.
            if page.is_none() && is_zero(now) {
                continue;
            }
            let page = Arc::make_mut(page.get_or_insert_default());
            reserve(page, piece.offset + piece.len);
            if page.len() < piece.offset {
                page.resize(piece.offset, 0);
            }
            let (over, after) = now.split_at(now.len().min(page.len() - piece.offset));
            page[piece.offset..piece.offset + over.len()].copy_from_slice(over);
            page.extend_from_slice(after);
        }
    }

    /// Cuts or grows (with zeros) to `len` bytes.
    pub(super) fn set_len(&mut self, len: u64) {
        let cut = len < self.len;
        self.len = len;
        self.pages.resize(page_count(len), None);
        if let Some(last) = self.pages.len().checked_sub(1)
            && cut
        {
            let keep = len - last as u64 * PAGE as u64;
            self.cut_page(last, usize::try_from(keep).unwrap_or(PAGE));
        }
    }

    /// Drops what page `index` holds past its first `keep` bytes, so that growing reads zeros.
    fn cut_page(&mut self, index: usize, keep: usize) {
        if let Some(page) = &mut self.pages[index]
            && page.len() > keep
        {
            match Arc::get_mut(page) {
                Some(own) => own.truncate(keep),
                None => *page = Arc::new(page[..keep].to_vec()),
            }
        }
    }
}

/// How many pages `len` bytes need.
pub(super) fn page_count(len: u64) -> usize {
    usize::try_from(len.div_ceil(PAGE as u64)).expect("the pages of a file in memory are countable")
}

/// A part of a range that lies in one page.
struct Piece {
    page: usize,
    offset: usize,
    len: usize,
}

/// `position..end` cut at the borders of pages.
fn pieces(position: u64, end: u64) -> impl Iterator<Item = Piece> {
    let mut at = position;
    std::iter::from_fn(move || {
        let left = end.checked_sub(at).filter(|left| *left > 0)?;
        let offset = (at % PAGE as u64) as usize;
        let len = usize::try_from(left).unwrap_or(PAGE).min(PAGE - offset);
        let page = (at / PAGE as u64) as usize;
        at += len as u64;
        Some(Piece { page, offset, len })
    })
}

/// Copies from `offset` of `page` on into `buf`, zeros past the page's bytes.
fn copy_padded(page: Option<&Arc<Vec<u8>>>, offset: usize, buf: &mut [u8]) {
    let held = page.and_then(|page| page.get(offset..)).unwrap_or_default();
    let n = held.len().min(buf.len());
    buf[..n].copy_from_slice(&held[..n]);
    buf[n..].fill(0);
}

/// Room for `len` bytes, at least doubling and never beyond a page.
fn reserve(page: &mut Vec<u8>, len: usize) {
    if page.capacity() < len {
        let capacity = len.max(page.capacity() * 2).min(PAGE);
        page.reserve_exact(capacity - page.len());
    }
}

/// Whether these bytes, of one page, are all zeros.
fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; PAGE] = [0; PAGE];
    *bytes == ZEROS[..bytes.len()]
}

/// Lets a page's bytes be [`Bytes`].
struct SharedPage(Arc<Vec<u8>>);

impl AsRef<[u8]> for SharedPage {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
