//! `catalogue(url)` on PostgreSQL and on MariaDB or MySQL: the same questions as on SQLite, and the
//! types that SQLite has not.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // tests

mod told;

use expect_test::{Expect, expect};
use told::told;
use whimbrel_model::catalogue::{Catalogue, Rows};
use whimbrel_sql::{Look, Options, catalogue};
use whimbrel_testkit::servers::{self, Database};

async fn read(database: &Database<'_>, look: Look) -> Catalogue {
    catalogue(&database.url(), Options::default(), look).await.unwrap()
}

async fn check(database: &Database<'_>, sql: &str, expect: Expect) {
    database.run(sql).unwrap();
    expect.assert_eq(&told(&read(database, Look::default()).await));
}

#[tokio::test]
async fn postgres_tables_keys_references_types() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let database = server.database("catalogue").unwrap();
    check(
        &database,
        "CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
         CREATE DOMAIN short AS varchar(3);
         CREATE SCHEMA sales;
         CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text UNIQUE,
            boss bigint REFERENCES users DEFERRABLE, m mood, s short, tags text[],
            spent numeric(10,2) DEFAULT 0, born date, seen timestamptz,
            twice numeric GENERATED ALWAYS AS (spent * 2) STORED, CHECK (spent > -1));
         CREATE UNIQUE INDEX ON users (lower(mail));
         CREATE UNIQUE INDEX ON users (born, seen);
         CREATE TABLE sales.orders (id serial PRIMARY KEY, user_id bigint NOT NULL,
            ip inet, took interval, price money, doc jsonb);
         CREATE TABLE measures (at timestamp NOT NULL, value float8) PARTITION BY RANGE (at);
         CREATE TABLE measures_1 PARTITION OF measures FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
         CREATE TABLE measures_2 PARTITION OF measures DEFAULT;
         CREATE VIEW v AS SELECT 1; CREATE MATERIALIZED VIEW mv AS SELECT 1 AS one;
         CREATE SCHEMA whimbrel; CREATE TABLE whimbrel.migration_runs (id text);
         INSERT INTO users (mail, boss, m, s, spent, born, seen) VALUES
            ('a@b', NULL, 'sad', 'abc', 'NaN', 'infinity', '1969-01-01 00:00:00+00'),
            (NULL, 1, NULL, NULL, 1, '0044-03-15 BC', '2039-01-01 00:00:00+00');
         INSERT INTO sales.orders (user_id) VALUES (1), (77);
         INSERT INTO measures VALUES ('2024-05-01', 'NaN'), ('10000-01-01', 1);",
        expect![[r#"
            measures: Exact(2), key []
              at "timestamp without time zone" timestamp not null ByRow nulls 0 chars None [(OutsideYears, 1)]
              value "double precision" double ByRow nulls 0 chars None [(NotFinite, 1)]
            users: Exact(2), key ["id"], unique [["mail"], ["born", "seen"]] and 1, checks, triggers, NULL keys (1, 0, 0)
              id "bigint" integer not null Identity nulls 0 chars None
              mail "text" text ByRow nulls 1 chars Some(3)
              boss "bigint" integer ByRow nulls 1 chars None
              m "mood" text ByRow nulls 1 chars Some(3)
              s "short" text(3) ByRow nulls 1 chars Some(3)
              tags "text[]" json ByRow nulls 2 chars None
              spent "numeric(10,2)" decimal(10,2) ByRow nulls 0 chars None default 0 [(NotFinite, 1)]
              born "date" date ByRow nulls 0 chars None [(Endless, 1), (OutsideYears, 1)]
              seen "timestamp with time zone" timestamptz ByRow nulls 0 chars None [(OutsideUnix, 2)]
              twice "numeric" decimal Generated nulls 0 chars None [(NotFinite, 1)]
              ["boss"] -> users ["id"]: Some(0)
            sales.orders: Exact(2), key ["id"]
              id "integer" int not null Identity nulls 0 chars None
              user_id "bigint" integer not null ByRow nulls 0 chars None
              ip "inet" any ByRow nulls 2 chars None
              took "interval" any ByRow nulls 2 chars None
              price "money" any ByRow nulls 2 chars None
              doc "jsonb" json ByRow nulls 2 chars None
              ["user_id"] ->? users ["id"]: Some(1)
            circle ["users"]
            left out: materialised view mv
            left out: view v
        "#]],
    )
    .await;
}

#[tokio::test]
async fn tables_that_are_only_named_like_the_ledgers_are_shown() {
    if let Some(server) = servers::postgres_or_skip() {
        // The ledger's own are in a schema of their own: what is called so elsewhere is not.
        check(
            &server.database("namesakes").unwrap(),
            "CREATE TABLE whimbrel_runs (id int PRIMARY KEY);
             CREATE TABLE whimbrel_meta (id int PRIMARY KEY);
             CREATE SCHEMA whimbrel; CREATE TABLE whimbrel.meta (id int);
             INSERT INTO whimbrel_runs VALUES (1), (2); INSERT INTO whimbrel_meta VALUES (1);",
            expect![[r#"
                public.whimbrel_meta: Exact(1), key ["id"]
                  id "integer" int not null ByRow nulls 0 chars None
                whimbrel_runs: Exact(2), key ["id"]
                  id "integer" int not null ByRow nulls 0 chars None
            "#]],
        )
        .await;
    }
    if let Some(server) = servers::mysql_or_skip() {
        check(
            &server.database("namesakes").unwrap(),
            "CREATE TABLE whimbrel_runs (id int PRIMARY KEY);
             CREATE TABLE whimbrel_meta (id int PRIMARY KEY);
             CREATE TABLE whimbrel_definitions (id int PRIMARY KEY);
             INSERT INTO whimbrel_runs VALUES (1), (2);",
            expect![[r#"
                whimbrel_runs: Exact(2), key ["id"]
                  id "int(11)" int not null ByRow nulls 0 chars None
            "#]],
        )
        .await;
    }
}

#[tokio::test]
async fn mysql_tables_keys_references_types() {
    let Some(server) = servers::mysql_or_skip() else { return };
    let database = server.database("catalogue").unwrap();
    check(
        &database,
        "SET sql_mode = '';
         CREATE TABLE users (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, mail varchar(40) UNIQUE,
            boss bigint unsigned, mood enum('sad','it''s ok') DEFAULT 'sad', born date, at datetime(6),
            took time, flag tinyint(1) NOT NULL DEFAULT 1, bits bit(3),
            twice int AS (flag * 2) VIRTUAL, price decimal(65,30), note text,
            CONSTRAINT boss FOREIGN KEY (boss) REFERENCES users (id), CHECK (price > -1));
         CREATE UNIQUE INDEX part ON users (note(10));
         CREATE TABLE Orders (a int, b int, user_id bigint unsigned, PRIMARY KEY (a, b)) ENGINE = MyISAM;
         CREATE TABLE parts (id int, PRIMARY KEY (id)) PARTITION BY HASH (id) PARTITIONS 4;
         CREATE VIEW v AS SELECT 1 AS one;
         INSERT INTO users (mail, born, at, took, note) VALUES
            ('a@b', '0000-00-00', '2024-02-00 00:00:00', '-10:00:00', 'x\\0y'),
            (NULL, '2024-01-01', '2024-01-01 00:00:00', '23:59:59', 'äöü');
         INSERT INTO Orders VALUES (1, 1, 1), (1, 2, 99);",
        expect![[r#"
            parts: Exact(0), key ["id"]
              id "int(11)" int not null ByRow nulls 0 chars None
            users: Exact(2), key ["id"], unique [["mail"]] and 1, checks, triggers, NULL keys (1, 0, 0)
              id "bigint(20) unsigned" unsigned not null Identity nulls 0 chars None
              mail "varchar(40)" text(40) ByRow nulls 1 chars Some(3)
              boss "bigint(20) unsigned" unsigned ByRow nulls 2 chars None
              mood "enum('sad','it''s ok')" text ByRow nulls 0 chars Some(3) default 'sad'
              born "date" date ByRow nulls 0 chars None [(ZeroDate, 1)]
              at "datetime(6)" timestamp ByRow nulls 0 chars None [(ZeroDate, 1)]
              took "time" time ByRow nulls 0 chars None [(OutsideDay, 1)]
              flag "tinyint(1)" boolean not null ByRow nulls 0 chars None default 1
              bits "bit(3)" bytes ByRow nulls 2 chars None
              twice "int(11)" int Generated nulls 0 chars None
              price "decimal(65,30)" decimal(65,30) ByRow nulls 2 chars None
              note "text" text ByRow nulls 0 chars Some(3) [(Nul, 1)]
              ["boss"] -> users ["id"]: Some(0)
            Orders: Exact(2), key ["a", "b"]
              a "int(11)" int not null ByRow nulls 0 chars None
              b "int(11)" int not null ByRow nulls 0 chars None
              user_id "bigint(20) unsigned" unsigned ByRow nulls 0 chars None
              ["user_id"] ->? users ["id"]: Some(1)
            circle ["users"]
            left out: view v
        "#]],
    )
    .await;
}

#[tokio::test]
async fn estimates_are_taken_from_the_planner_where_asked_for() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let database = server.database("estimate").unwrap();
    database
        .run(
            "CREATE TABLE big AS SELECT generate_series(1, 5000) AS id; ANALYZE big;
              DELETE FROM big WHERE id > 4000;",
        )
        .unwrap();
    let look = Look::Rows { estimate_above: Some(100) };
    assert_eq!(read(&database, look).await.tables[0].rows, Rows::Estimate(5000));
    assert_eq!(read(&database, Look::default()).await.tables[0].rows, Rows::Exact(4000));
}
