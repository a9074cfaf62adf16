//! What the tables of a case are, from the server's catalogue: the rules of `decided` and `presence` go by it.

use std::collections::BTreeMap;

use anyhow::Result;
use tokio_postgres::Client;

/// Tables by `schema.table`.
pub type Catalogue = BTreeMap<String, Table>;

#[derive(Default)]
pub struct Table {
    /// The stream has its rows under another name: partitions', or their root's.
    pub is_elsewhere: bool,
    pub is_unlogged: bool,
    /// The identity is an index that lacks a column of the primary key, or a key was chosen that lies outside it.
    pub identity_lacks_key: bool,
    /// Columns of old rows.
    identity: Vec<String>,
    /// Tables that inherit from this one, or are its partitions.
    pub children: Vec<String>,
    pub columns: BTreeMap<String, Column>,
}

pub struct Column {
    /// Of a domain: the type below it.
    pub type_name: String,
    /// Or of a domain.
    pub is_enum_array: bool,
    pub default: Option<String>,
}

/// Under whose name changes of partitions are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Published {
    ByRoot,
    ByPartition,
}

const TABLES: &str = "
    SELECT n.nspname || '.' || c.relname,
           CASE WHEN $1 THEN c.relispartition ELSE c.relkind = 'p' END,
           c.relpersistence = 'u',
           coalesce((SELECT NOT pk.indkey::int2[] <@ ri.indkey::int2[] FROM pg_index ri, pg_index pk
                     WHERE c.relreplident = 'i' AND ri.indrelid = c.oid AND ri.indisreplident
                     AND pk.indrelid = c.oid AND pk.indisprimary), false),
           ARRAY(SELECT cn.nspname || '.' || cc.relname FROM pg_inherits i JOIN pg_class cc ON cc.oid = i.inhrelid
                 JOIN pg_namespace cn ON cn.oid = cc.relnamespace WHERE i.inhparent = c.oid
                 AND NOT cc.relispartition),
           ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
                 AND (c.relreplident = 'f' OR EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid
                      AND CASE c.relreplident WHEN 'i' THEN x.indisreplident WHEN 'd' THEN x.indisprimary END
                      AND a.attnum = ANY(x.indkey::int2[]))))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')";
const COLUMNS: &str = "
    SELECT n.nspname || '.' || c.relname, a.attname::text, b.typname::text, coalesce(e.typtype IN ('e', 'd'), false),
           pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
    LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')";

/// What `message.key.columns` says of the tables, in the forms that the recordings have.
pub fn choose_keys(catalogue: &mut Catalogue, key_columns: &str) {
    for part in key_columns.split(';') {
        let Some((pattern, columns)) = part.split_once(':') else { continue };
        let Ok(pattern) = regex::Regex::new(&format!("^(?:{pattern})$")) else { continue };
        for (_, table) in catalogue.iter_mut().filter(|(name, _)| pattern.is_match(name)) {
            let lacks = |column: &str| {
                table.columns.contains_key(column) && !table.identity.iter().any(|one| one == column)
            };
            table.identity_lacks_key |= columns.split(',').any(lacks);
        }
    }
}

/// # Errors
/// The server refuses to say.
pub async fn read(client: &Client, published: Published) -> Result<Catalogue> {
    let mut tables = Catalogue::new();
    for row in client.query(TABLES, &[&(published == Published::ByRoot)]).await? {
        let table = Table {
            is_elsewhere: row.get(1),
            is_unlogged: row.get(2),
            identity_lacks_key: row.get(3),
            children: row.get(4),
            identity: row.get(5),
            columns: BTreeMap::new(),
        };
        tables.insert(row.get(0), table);
    }
    for row in client.query(COLUMNS, &[]).await? {
        let column = Column { type_name: row.get(2), is_enum_array: row.get(3), default: row.get(4) };
        if let Some(table) = tables.get_mut(row.get::<_, &str>(0)) {
            table.columns.insert(row.get(1), column);
        }
    }
    Ok(tables)
}
