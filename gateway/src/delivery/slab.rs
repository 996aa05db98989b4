//! Values at stable numbers, in chunks: growing never moves what is there, and chunks that are empty are given back.

use std::marker::PhantomData;

/// A number in a [`Slab`].
pub(super) trait Index: Copy {
    /// The number `place`.
    fn at(place: u32) -> Self;
    /// The number.
    fn place(self) -> u32;
}

/// Declares a kind of numbers.
macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(in crate::delivery) struct $name(pub(in crate::delivery) u32);

        impl $crate::delivery::slab::Index for $name {
            fn at(place: u32) -> Self {
                Self(place)
            }

            fn place(self) -> u32 {
                self.0
            }
        }
    };
}
pub(super) use index;

/// Values of kind `T` at numbers of kind `I`. A number is used again after its value was removed.
#[derive(Debug)]
pub(super) struct Slab<I, T> {
    chunks: Vec<Chunk<T>>,
    /// Chunks that have room; the last one is filled first.
    roomy: Vec<u32>,
    len: usize,
    kind: PhantomData<I>,
}

/// `CHUNK` places, or none while it holds nothing.
#[derive(Debug)]
struct Chunk<T> {
    slots: Vec<Option<T>>,
    free: Vec<u16>,
    is_roomy: bool,
}

impl<I: Index, T> Slab<I, T> {
    /// Without values.
    pub(super) const fn new() -> Self {
        Self {
            chunks: Vec::new(),
            roomy: Vec::new(),
            len: 0,
            kind: PhantomData,
        }
    }

    /// How many values there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Numbers in use are below this one.
    pub(super) fn end(&self) -> u32 {
        as_u32(self.chunks.len() * CHUNK)
    }

    /// Puts `value` at a free number.
    ///
    /// # Panics
    /// With more than 2^32 values, for which no machine has the memory.
    pub(super) fn insert(&mut self, value: T) -> I {
        let number = self.room();
        let chunk = &mut self.chunks[number as usize];
        let slot = match chunk.free.pop() {
            Some(slot) => {
                chunk.slots[usize::from(slot)] = Some(value);
                usize::from(slot)
            }
            None => {
                chunk.slots.push(Some(value));
                chunk.slots.len() - 1
            }
        };
        if chunk.free.is_empty() && chunk.slots.len() == CHUNK {
            chunk.is_roomy = false;
            self.roomy.pop();
        }
        self.len += 1;
        I::at(number * as_u32(CHUNK) + as_u32(slot))
    }

    /// The value at `index`.
    pub(super) fn get(&self, index: I) -> Option<&T> {
        let (chunk, slot) = split(index);
        self.chunks.get(chunk)?.slots.get(slot)?.as_ref()
    }

    /// The value at `index`, to change it.
    pub(super) fn get_mut(&mut self, index: I) -> Option<&mut T> {
        let (chunk, slot) = split(index);
        self.chunks.get_mut(chunk)?.slots.get_mut(slot)?.as_mut()
    }

    /// Takes the value at `index` out.
    pub(super) fn remove(&mut self, index: I) -> Option<T> {
        let (number, slot) = split(index);
        let chunk = self.chunks.get_mut(number)?;
        let value = chunk.slots.get_mut(slot)?.take()?;
        self.len -= 1;
        if chunk.free.len() + 1 == chunk.slots.len() {
            (chunk.slots, chunk.free) = (Vec::new(), Vec::new());
        } else {
            // A slot is below `CHUNK`.
            chunk.free.push(slot as u16);
        }
        if !chunk.is_roomy {
            chunk.is_roomy = true;
            self.roomy.push(as_u32(number));
        }
        Some(value)
    }

    /// The values at the numbers from `from` on, and where to go on: with some thousands of them, or `None` after the last.
    pub(super) fn some_from(&self, from: u32) -> (impl Iterator<Item = (I, &T)>, Option<u32>) {
        let first = from as usize / CHUNK;
        let after = (first + CHUNKS_AT_A_TIME).min(self.chunks.len());
        let chunks = self.chunks.iter().enumerate().take(after).skip(first);
        let values = chunks.flat_map(|(number, chunk)| {
            let values = chunk.slots.iter().enumerate();
            values.filter_map(move |(slot, value)| Some((I::at(as_u32(number * CHUNK + slot)), value.as_ref()?)))
        });
        let next = (after < self.chunks.len()).then(|| as_u32(after * CHUNK));
        (values, next)
    }

    fn room(&mut self) -> u32 {
        if let Some(number) = self.roomy.last() {
            return *number;
        }
        let number = as_u32(self.chunks.len());
        self.chunks.push(Chunk {
            slots: Vec::new(),
            free: Vec::new(),
            is_roomy: true,
        });
        self.roomy.push(number);
        number
    }
}

impl<I: Index, T> std::ops::Index<I> for Slab<I, T> {
    type Output = T;

    fn index(&self, index: I) -> &T {
        self.get(index)
            .expect("a number is forgotten before its value is removed")
    }
}

impl<I: Index, T> std::ops::IndexMut<I> for Slab<I, T> {
    fn index_mut(&mut self, index: I) -> &mut T {
        self.get_mut(index)
            .expect("a number is forgotten before its value is removed")
    }
}

fn split(index: impl Index) -> (usize, usize) {
    let place = index.place() as usize;
    (place / CHUNK, place % CHUNK)
}

fn as_u32(number: usize) -> u32 {
    u32::try_from(number).expect("fewer than 2^32 values fit in memory")
}

const CHUNK: usize = 1024;
const CHUNKS_AT_A_TIME: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    index! {
        /// A number.
        N
    }

    #[test]
    fn all_are_seen_some_at_a_time() {
        let mut slab: Slab<N, u32> = Slab::new();
        let all: Vec<N> = (0..40_000).map(|value| slab.insert(value)).collect();
        let (mut seen, mut from, mut times) = (Vec::new(), Some(0), 0);
        while let Some(place) = from {
            let (some, next) = slab.some_from(place);
            seen.extend(some.map(|(number, _)| number));
            (from, times) = (next, times + 1);
        }
        assert_eq!((seen, times), (all, 3));
        assert_eq!(Slab::<N, u32>::new().some_from(0).1, None);
    }

    #[test]
    fn numbers_are_used_again_and_empty_chunks_are_given_back() {
        let mut slab: Slab<N, u32> = Slab::new();
        let numbers: Vec<N> = (0..3000).map(|value| slab.insert(value)).collect();
        assert_eq!((slab.len(), slab.end()), (3000, 3072));
        for (value, number) in numbers.iter().enumerate() {
            assert_eq!(slab[*number] as usize, value);
        }
        for number in &numbers[..2048] {
            assert!(slab.remove(*number).is_some());
            assert_eq!(slab.remove(*number), None);
        }
        assert!(slab.chunks[..2].iter().all(|chunk| chunk.slots.capacity() == 0));
        assert_eq!(slab.some_from(0).0.count(), 952);
        let again: Vec<N> = (0..2048 + 72).map(|value| slab.insert(value)).collect();
        assert_eq!(slab.end(), 3072);
        assert_eq!(slab.some_from(0).0.count(), 3072);
        let distinct: std::collections::BTreeSet<N> = again.iter().chain(&numbers[2048..]).copied().collect();
        assert_eq!(distinct.len(), 3072);
        slab.insert(1);
        assert_eq!(slab.end(), 4096);
    }
}
