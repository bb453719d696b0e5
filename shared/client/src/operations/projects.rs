//! Projects.

use crate::{
    Client, ClientError, Document, NewProject,
    views::{Created, Project},
};

impl Client {
    /// Creates a project; its first job starts at once.
    ///
    /// # Errors
    /// Refused (422 with the fields), or the server stays away.
    pub async fn create_project(&self, project: &NewProject) -> Result<Document<Created>, ClientError> {
        self.post(["projects"]).json(project).idempotent().document().await
    }

    /// A project.
    ///
    /// # Errors
    /// There is none (404), or the server stays away.
    pub async fn project(&self, id: &str) -> Result<Document<Project>, ClientError> {
        self.get(["projects", id]).document().await
    }

    /// Deletes a project: its jobs are cancelled, its files go within a day or so.
    ///
    /// # Errors
    /// There is none (404), or the server stays away.
    pub async fn delete_project(&self, id: &str) -> Result<(), ClientError> {
        self.delete(["projects", id]).bytes().await.map(drop)
    }
}
