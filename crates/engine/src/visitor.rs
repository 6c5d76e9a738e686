//! Who passes by, without knowing who it is: the salt of the day and the keyed hash.

/// 16 random bytes for one site and day (PRIVACY.md, clause 3). Overwritten by its owner.
pub type Salt = [u8; 16];
