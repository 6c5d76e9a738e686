//! Texts and tuples to small numbers, and back.
//!
//! Texts come from outside, so they are hashed with a key that changes with every process (the standard
//! library's); codes are given in order of first appearance, and nothing ever iterates the tables, so that
//! the key shows nowhere.

use crate::event::Text;
use crate::rollup::OTHER;
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};

/// Texts by code. Code 0 is the empty text.
#[derive(Clone)]
pub struct Interner {
    values: Vec<Text>,
    index: HashTable<u32>,
    key: RandomState,
    /// Code of `(other)`, once it was needed.
    other: Option<u32>,
}

impl Default for Interner {
    fn default() -> Self {
        Interner::from_values(vec![Text::default()])
    }
}

impl Interner {
    /// Takes texts whose place is their code, as [`Interner::values`] gave them.
    pub fn from_values(values: Vec<Text>) -> Interner {
        let mut interner = Interner {
            index: HashTable::with_capacity(values.len()),
            values,
            key: RandomState::new(),
            other: None,
        };
        for code in 0..interner.values.len() as u32 {
            let text = &interner.values[code as usize];
            if text == OTHER {
                interner.other = Some(code);
            }
            let hash = interner.key.hash_one(text.as_str());
            let (values, key) = (&interner.values, &interner.key);
            interner.index.insert_unique(hash, code, |&c| key.hash_one(values[c as usize].as_str()));
        }
        interner
    }

    pub fn values(&self) -> &[Text] {
        &self.values
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn get(&self, code: u32) -> &Text {
        &self.values[code as usize]
    }

    pub fn find(&self, text: &str) -> Option<u32> {
        let hash = self.key.hash_one(text);
        self.index.find(hash, |&c| self.values[c as usize] == text).copied()
    }

    /// The code of a text, a new one if it has none yet.
    pub fn code(&mut self, text: &str) -> u32 {
        let hash = self.key.hash_one(text);
        if let Some(&code) = self.index.find(hash, |&c| self.values[c as usize] == text) {
            return code;
        }
        let code = self.values.len() as u32;
        self.values.push(Text::new(text));
        if text == OTHER {
            self.other = Some(code);
        }
        let (values, key) = (&self.values, &self.key);
        self.index.insert_unique(hash, code, |&c| key.hash_one(values[c as usize].as_str()));
        code
    }

    /// The same, but once `cap` texts are known a new one gets the code of `(other)`.
    pub fn code_capped(&mut self, text: &str, cap: usize) -> u32 {
        match self.find(text) {
            Some(code) => code,
            None if self.values.len() < cap => self.code(text),
            None => self.other(),
        }
    }

    /// The code of `(other)`.
    pub fn other(&mut self) -> u32 {
        match self.other {
            Some(code) => code,
            None => self.code(OTHER),
        }
    }
}

/// Tuples of codes by index, in order of first appearance.
#[derive(Clone)]
pub struct Tuples<const N: usize> {
    values: Vec<[u32; N]>,
    index: HashTable<u32>,
    key: RandomState,
}

impl<const N: usize> Default for Tuples<N> {
    fn default() -> Self {
        Tuples { values: Vec::new(), index: HashTable::new(), key: RandomState::new() }
    }
}

impl<const N: usize> Tuples<N> {
    pub fn values(&self) -> &[[u32; N]] {
        &self.values
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn find(&self, tuple: &[u32; N]) -> Option<u32> {
        let hash = self.key.hash_one(tuple);
        self.index.find(hash, |&i| self.values[i as usize] == *tuple).copied()
    }

    pub fn index(&mut self, tuple: [u32; N]) -> u32 {
        let hash = self.key.hash_one(tuple);
        if let Some(&i) = self.index.find(hash, |&i| self.values[i as usize] == tuple) {
            return i;
        }
        let i = self.values.len() as u32;
        self.values.push(tuple);
        let (values, key) = (&self.values, &self.key);
        self.index.insert_unique(hash, i, |&i| key.hash_one(values[i as usize]));
        i
    }
}
