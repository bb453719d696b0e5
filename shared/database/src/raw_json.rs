//! `RawJson`: a `jsonb` parameter that is text already.

use bytes::{BufMut as _, BytesMut};
use serde::Serialize;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::DatabaseError;

/// Text that is JSON already: going through a tree of values would cost as much again as writing it.
#[derive(Debug)]
pub(crate) struct RawJson(Vec<u8>);

impl RawJson {
    pub(crate) fn of(value: &impl Serialize, operation: &'static str) -> Result<Self, DatabaseError> {
        let text = serde_json::to_vec(value);
        text.map(Self).map_err(|error| DatabaseError::Row { operation, reason: error.to_string() })
    }
}

impl ToSql for RawJson {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        // The version of jsonb's binary form (`jsonb_recv`).
        out.put_u8(1);
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::JSONB
    }

    to_sql_checked!();
}
