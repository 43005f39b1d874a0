//! The enrolment book in its Secret: tokens' digests, who holds which name, bans.
//!
//! In: changes as pure functions. Out: their result, once it is durable. Law: of two that race, one wins (resourceVersion).
//! Not: the rules (`enrolment::book`).

use super::secret::{Data, StoredSecret};
use crate::enrolment::EnrolmentBook;
use crate::enrolment::book::BookError;
use segment_runtime::ApiError;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;

/// The book, with the copy that checks of every call read.
#[derive(Clone, Debug)]
pub struct EnrolmentStore {
    secret: StoredSecret,
    copy: Arc<RwLock<EnrolmentBook>>,
    one: Arc<Mutex<()>>,
}

/// The book can't be had.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentStoreError {
    /// The API server.
    #[error("the enrolment book can't be read or written")]
    Api(#[from] ApiError),
    /// What is in the Secret is no book, or it has grown too large for one.
    #[error("Secret segment-hub-enrolment can't be used")]
    Book(#[source] BookError),
    /// The write was never tried.
    #[error("the enrolment book was not changed")]
    NotAsked,
}

const KEY: &str = "book";

fn parse(data: &Data) -> Result<EnrolmentBook, EnrolmentStoreError> {
    EnrolmentBook::from_bytes(data.get(KEY).map_or(&[], Vec::as_slice))
        .map_err(EnrolmentStoreError::Book)
}

impl EnrolmentStore {
    /// Reads the book.
    ///
    /// # Errors
    /// When it can't be read or understood.
    pub async fn load(secret: StoredSecret) -> Result<Self, EnrolmentStoreError> {
        let book = parse(&secret.read().await?)?;
        Ok(Self {
            secret,
            copy: Arc::new(RwLock::new(book)),
            one: Arc::default(),
        })
    }

    /// Reads from the copy in memory.
    pub fn read<T>(&self, look: impl FnOnce(&EnrolmentBook) -> T) -> T {
        look(&self.copy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the book: `change` may be called again after a conflict. What it answers is true once this returns.
    ///
    /// # Errors
    /// When the book can't be read, understood or written.
    pub async fn change<T>(
        &self,
        mut change: impl FnMut(&mut EnrolmentBook) -> T,
    ) -> Result<T, EnrolmentStoreError> {
        // Only this leader writes it: one after the other, a fleet that joins at once makes no conflicts.
        let _alone = self.one.lock().await;
        let mut answer = None;
        let data = self
            .secret
            .update(|data| -> Result<Option<Data>, EnrolmentStoreError> {
                let before = parse(data)?;
                let mut book = before.clone();
                answer = Some(change(&mut book));
                if book == before {
                    return Ok(None);
                }
                let bytes = book.to_bytes().map_err(EnrolmentStoreError::Book)?;
                let mut data = data.clone();
                data.insert(KEY.to_owned(), bytes);
                Ok(Some(data))
            })
            .await??;
        *self.copy.write().unwrap_or_else(PoisonError::into_inner) = parse(&data)?;
        answer.ok_or(EnrolmentStoreError::NotAsked)
    }
}
