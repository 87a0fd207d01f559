//! Lifeboat
