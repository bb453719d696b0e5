//! `Uploads`: how many bodies of files and archives are taken at once. Each holds a thread and room on disk for as long as its client
//! takes to send it, so no tenant may have all places.

use std::{io, time::Duration};

use axum::{BoxError, body::HttpBody};
use bytes::Bytes;
use drydock_domain::TenantId;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use crate::{
    error::ApiError,
    places::{Place, Places},
};

/// Of all places, one tenant has at most one in so many.
const PART: usize = 4;
/// Longer than it takes to tell the client that it is too late.
const LEEWAY: Duration = Duration::from_secs(1);

/// The places, of this process.
pub(crate) struct Uploads(Places);

/// A place, held until what reads the upload has ended.
pub(crate) struct Upload {
    _place: Place,
}

impl Uploads {
    /// `most` places, from 1.
    pub(crate) fn new(most: usize) -> Self {
        Self(Places::new(most, PART))
    }

    /// Takes a place.
    ///
    /// # Errors
    /// There is none, or the tenant has its share: 503.
    pub(crate) fn begin(&self, tenant: TenantId) -> Result<Upload, ApiError> {
        let detail = "Too many uploads are under way: wait for some to end";
        let place = self.0.take(tenant).map_err(|_| ApiError::Unavailable { detail, cause: None })?;
        Ok(Upload { _place: place })
    }
}

impl Upload {
    /// The body as it is read on a thread, which has the place with it, whatever becomes of the request. Ends after `timeout` and a little,
    /// so that a client that sends a byte now and then does not keep the thread.
    pub(crate) fn reader<B>(self, body: B, timeout: Duration) -> impl AsyncRead + Send + Unpin + 'static
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let parts = body.into_data_stream().take_until(tokio::time::sleep(timeout + LEEWAY));
        StreamReader::new(Box::pin(parts.map_err(move |error| {
            let _with_the_reader = &self;
            io::Error::other(error)
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_its_share_and_all_have_no_more_than_there_is() {
        let uploads = Uploads::new(6);
        let (one, other, third) = (TenantId::generate(), TenantId::generate(), TenantId::generate());
        let mut places: Vec<Upload> = (0..2).map(|_| uploads.begin(one).ok().unwrap()).collect();
        assert!(uploads.begin(one).is_err(), "a quarter, rounded up");
        places.extend([other, other, third, third].map(|tenant| uploads.begin(tenant).ok().unwrap()));
        assert!(uploads.begin(TenantId::generate()).is_err(), "all are taken");
        places.clear();
        assert!(uploads.begin(one).is_ok());
    }
}
