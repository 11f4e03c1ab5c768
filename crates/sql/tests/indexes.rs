//! Parked indexes as the transaction sees them: only the holder of the fence drops and makes them,
//! and only what was recorded. And the ledger's second version, which remembers them.

#![allow(clippy::unwrap_used)] // tests

use std::time::Duration;

use tempfile::TempDir;
use whimbrel_endpoint::contract::holder;
use whimbrel_endpoint::{ErrorClass, Fence, Index, LeaseAnswer, LeaseRequest, Target};
use whimbrel_sql::{Options, open};
use whimbrel_testkit::servers::{self, Database, Engine};

enum Base {
    Sqlite(TempDir),
    Server(Engine, Database<'static>),
}

impl Base {
    fn all() -> Vec<Self> {
        let server = |engine| {
            let database = servers::server_or_skip(engine)?.database("indexes").unwrap();
            Some(Self::Server(engine, database))
        };
        let servers = [Engine::Postgres, Engine::Mysql].into_iter().filter_map(server);
        std::iter::once(Self::Sqlite(tempfile::tempdir().unwrap())).chain(servers).collect()
    }

    async fn target(&self) -> Box<dyn Target> {
        let url = match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("t.db").display()),
            Self::Server(_, database) => database.url(),
        };
        open(&url, Options::default()).await.unwrap()
    }

    fn sql(&self, sql: &str) {
        match self {
            Self::Sqlite(folder) => {
                let connection = rusqlite::Connection::open(folder.path().join("t.db")).unwrap();
                connection.execute_batch(sql).unwrap();
            }
            Self::Server(_, database) => database.run(sql).unwrap(),
        }
    }

    fn ledger(&self, table: &str) -> String {
        match self {
            Self::Server(Engine::Postgres, _) => format!("whimbrel.{table}"),
            Self::Server(Engine::Mysql, _) | Self::Sqlite(_) => format!("whimbrel_{table}"),
        }
    }
}

async fn lease(target: &dyn Target, run: &str) -> Fence {
    let ttl = Duration::from_mins(1);
    let request = LeaseRequest { holder: holder(run), ttl, renew: None, dead: None };
    match target.lease(&request).await.unwrap() {
        LeaseAnswer::Granted(fence) => fence,
        LeaseAnswer::Held { .. } => panic!("nobody else is here"),
    }
}

async fn parkable(target: &dyn Target, fence: Fence) -> Vec<Index> {
    let mut txn = target.begin(fence).await.unwrap();
    let found = txn.parkable_indexes("t").await.unwrap();
    txn.rollback().await.unwrap();
    found
}

const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); CREATE INDEX i ON t (a);";

#[tokio::test]
async fn whoever_lost_the_fence_neither_drops_nor_makes_an_index() {
    for base in Base::all() {
        let (old, new) = (base.target().await, base.target().await);
        base.sql(TABLE);
        old.prepare_ledger().await.unwrap();
        let stale = lease(old.as_ref(), "first").await;
        old.release(stale).await.unwrap();
        let fence = lease(new.as_ref(), "second").await;
        let indexes = parkable(new.as_ref(), fence).await;
        assert_eq!(indexes.len(), 1);
        let mut txn = old.begin(stale).await.unwrap();
        let dropped = match txn.drop_indexes("t", &indexes).await {
            Ok(_) => txn.commit().await,
            Err(error) => {
                txn.rollback().await.unwrap();
                Err(error)
            }
        };
        assert_eq!(dropped.unwrap_err().class, ErrorClass::Fenced);
        assert_eq!(parkable(new.as_ref(), fence).await, indexes, "it stands");
        let mut txn = new.begin(fence).await.unwrap();
        assert_eq!(txn.drop_indexes("t", &indexes).await.unwrap(), ["i"]);
        txn.commit().await.unwrap();
        let mut txn = old.begin(stale).await.unwrap();
        let made = match txn.create_indexes("t", &indexes).await {
            Ok(_) => txn.commit().await,
            Err(error) => {
                txn.rollback().await.unwrap();
                Err(error)
            }
        };
        assert_eq!(made.unwrap_err().class, ErrorClass::Fenced);
        assert_eq!(parkable(new.as_ref(), fence).await, [], "it is gone still");
        let mut txn = new.begin(fence).await.unwrap();
        assert_eq!(txn.create_indexes("t", &indexes).await.unwrap(), ["i"]);
        assert_eq!(txn.create_indexes("t", &indexes).await.unwrap(), [""; 0], "once");
        txn.commit().await.unwrap();
        assert_eq!(parkable(new.as_ref(), fence).await, indexes);
    }
}

#[tokio::test]
async fn an_index_whose_table_is_gone_is_not_made() {
    for base in Base::all() {
        let target = base.target().await;
        base.sql(TABLE);
        target.prepare_ledger().await.unwrap();
        let fence = lease(target.as_ref(), "run").await;
        let indexes = parkable(target.as_ref(), fence).await;
        base.sql(match base {
            Base::Server(Engine::Postgres, _) => "DROP TABLE public.t",
            Base::Server(Engine::Mysql, _) | Base::Sqlite(_) => "DROP TABLE t",
        });
        let mut txn = target.begin(fence).await.unwrap();
        assert_eq!(txn.create_indexes("t", &indexes).await.unwrap(), [""; 0]);
        txn.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_ledger_of_version_1_is_upgraded_and_keeps_what_it_holds() {
    for base in Base::all() {
        base.target().await.prepare_ledger().await.unwrap();
        let (meta, parked) = (base.ledger("meta"), base.ledger("parked_indexes"));
        base.sql(&format!(
            "DROP TABLE {parked}; UPDATE {meta} SET value = '1' WHERE name = 'ledger_version';
             INSERT INTO {meta} (name, value) VALUES ('kept', 'yes')"
        ));
        let target = base.target().await;
        assert!(target.describe("whimbrel_parked_indexes").await.unwrap().is_none());
        target.prepare_ledger().await.unwrap();
        let table = target.describe("whimbrel_parked_indexes").await.unwrap().unwrap();
        let key: Vec<&str> = table.key.iter().map(|&at| table.columns[at].name.as_str()).collect();
        assert_eq!(key, ["target_table", "name"]);
        let query = whimbrel_endpoint::Query::table("whimbrel_meta", &["value"]);
        let rows =
            target.select(&query.by("name", whimbrel_endpoint::Order::Rising)).await.unwrap();
        let values: Vec<_> = rows.rows().map(|row| row.get(0).to_owned()).collect();
        assert_eq!(values, [whimbrel_model::Value::from("yes"), whimbrel_model::Value::from("2")]);
    }
}

#[tokio::test]
async fn statistics_are_made_where_the_engine_waits_for_them_and_a_refusal_harms_nothing() {
    for base in Base::all() {
        base.sql(TABLE);
        base.sql("INSERT INTO t VALUES (1, 2), (2, 3)");
        let target = base.target().await;
        target.prepare_ledger().await.unwrap();
        let fence = lease(target.as_ref(), "run").await;
        let is_postgres = matches!(base, Base::Server(Engine::Postgres, _));
        let mut txn = target.begin(fence).await.unwrap();
        assert!(!txn.update_statistics("t").await.unwrap(), "the engine does it by itself");
        txn.commit().await.unwrap();
        if is_postgres {
            base.sql("ALTER TABLE t SET (autovacuum_enabled = off)");
        }
        let mut txn = target.begin(fence).await.unwrap();
        assert_eq!(txn.update_statistics("t").await.unwrap(), is_postgres);
        txn.commit().await.unwrap();
        let Base::Server(Engine::Postgres, database) = &base else { continue };
        let estimate = "SELECT reltuples::bigint FROM pg_class WHERE oid = 'public.t'::regclass";
        assert_eq!(database.rows(estimate).unwrap(), [[Some(b"2".to_vec())]]);
        // An index whose expression fails on what the table holds.
        database
            .run(
                "CREATE FUNCTION public.fails(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS
                     'BEGIN IF current_setting(''fails.now'', true) = ''yes'' THEN RAISE ''no''; END IF; \
                      RETURN $1; END';
                 CREATE INDEX computed ON public.t (public.fails(a));",
            )
            .unwrap();
        database
            .run(&format!("ALTER DATABASE \"{}\" SET fails.now = 'yes'", database.name()))
            .unwrap();
        let target = base.target().await;
        target.release(fence).await.unwrap();
        let fence = lease(target.as_ref(), "run").await;
        let mut txn = target.begin(fence).await.unwrap();
        assert!(!txn.update_statistics("t").await.unwrap());
        assert_eq!(txn.count("t").await.unwrap(), Some(2), "the transaction stands");
        txn.commit().await.unwrap();
    }
}
