//! How a cluster becomes one of ours: a token, a key, a certificate.
//!
//! **In:** join tokens, certificate signing requests, the authority's keys. **Out:** certificates, and the book of who
//! holds which name.
//! **Law:** the hub writes every name into a certificate itself; of a request it takes the key and nothing else.
//! **Not:** the Secrets these values live in, nor the calls that ask for them.

pub mod book;
pub mod ca;
pub mod csr;
pub mod token;

pub use book::{EnrolmentBook, Gate, Grant, Refusal};
pub use ca::{AuthorityPems, CertificateAuthority};
pub use csr::{CsrKey, KeyDigest};
pub use token::JoinToken;
