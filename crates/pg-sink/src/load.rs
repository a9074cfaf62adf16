//! The first rows of an empty table: `COPY` in place of upserts, at about half of the server's cost.
//!
//! A table is loaded from when it was found empty until the first `COPY` into it fails, which a key that exists
//! makes it do; the transaction is then done again with the statements that serve every table.

use bytes::Bytes;
use pg::tokio_postgres::Client;
use pg::{oid, quote};

use crate::columns::{Parameter, Signature};
use crate::encode::{ARRAY_HEAD_BYTES, split_element};
use crate::settings::{ForeignKeys, InsertMode, Settings};
use crate::table_shape::TableShape;
use crate::values::Wire;

/// Fewer rows are written sooner by a statement, which needs no answer before its rows are sent.
pub const ROWS_MIN: usize = 64;

/// Signature, flags, and no extension, as PostgreSQL's documentation of COPY's binary format has them.
const HEAD: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: [u8; 2] = (-1_i16).to_be_bytes();

/// Whether a table is one whose rows may be copied in.
pub fn is_candidate(settings: &Settings, shape: &TableShape) -> bool {
    // Rows whose parents are watched need a statement that says which ones it left out.
    let watched = settings.foreign_keys == ForeignKeys::Hold && !shape.parents.is_empty();
    settings.insert_mode != InsertMode::Update && shape.takes_copies && !watched
}

/// Whether rows of these columns may be copied into a table: the server must not have to cast any.
pub fn is_possible(settings: &Settings, shape: &TableShape, signature: &Signature) -> bool {
    let as_sent = |parameter: &Parameter| {
        let type_oid = shape.columns[parameter.column].target.type_oid;
        let text = [oid::TEXT, oid::VARCHAR, oid::BPCHAR].contains(&type_oid);
        parameter.cast.is_none() && (parameter.wire != Wire::Text || text)
    };
    is_candidate(settings, shape) && signature.columns.iter().all(as_sent)
}

/// Whether the table has no rows. Who may not read it is not told.
pub async fn is_empty(client: &Client, shape: &TableShape) -> Result<bool, pg::Error> {
    let found = client.query_one(&format!("SELECT EXISTS (SELECT FROM {})", shape.quoted), &[]).await;
    match found {
        Ok(row) => Ok(!row.try_get::<_, bool>(0)?),
        Err(error) => {
            let error = pg::Error::from(error);
            if error.class() == pg::ErrorClass::Privilege { Ok(false) } else { Err(error) }
        }
    }
}

/// The statement for rows of these columns.
pub fn statement(shape: &TableShape, signature: &Signature) -> String {
    let names: Vec<_> = signature
        .columns
        .iter()
        .map(|parameter| quote::identifier(&shape.columns[parameter.column].name))
        .collect();
    format!("COPY {} ({}) FROM STDIN (FORMAT binary)", shape.quoted, names.join(", "))
}

/// Array parameters, and how many elements each has, as rows in COPY's binary format: elements have the same form in both.
pub fn rows(parts: &[(&[Vec<u8>], usize)]) -> Bytes {
    let bytes =
        |(params, count): &(&[Vec<u8>], usize)| params.iter().map(Vec::len).sum::<usize>() + 2 * count;
    let mut out = Vec::with_capacity(HEAD.len() + parts.iter().map(bytes).sum::<usize>() + END.len());
    out.extend_from_slice(&HEAD);
    for (params, count) in parts {
        let mut columns: Vec<&[u8]> = params.iter().map(|param| &param[ARRAY_HEAD_BYTES..]).collect();
        for _ in 0..*count {
            out.extend_from_slice(&(params.len() as i16).to_be_bytes());
            for column in &mut columns {
                let (element, rest) = split_element(column);
                out.extend_from_slice(element);
                *column = rest;
            }
        }
    }
    out.extend_from_slice(&END);
    out.into()
}
