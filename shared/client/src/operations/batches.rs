//! Batches.

use crate::{Client, ClientError, Document, views::Batch};

impl Client {
    /// A batch as it stands.
    ///
    /// # Errors
    /// There is none (404), or the server stays away.
    pub async fn batch(&self, id: &str) -> Result<Document<Batch>, ClientError> {
        self.get(["batches", id]).document().await
    }
}
