//! Users who may not do all that a run needs: what is missing, and what grants it.

use expect_test::expect;
use whimbrel_testkit::servers::Engine;

use super::place::{Folder, number, people, said, server, url_of};

/// Schemas of the plan's table, and whether they make its key unique.
const SCHEMAS: [(&str, bool); 4] = [
    ("CREATE TABLE people (id bigint NOT NULL, name varchar(20))", false),
    ("CREATE TABLE people (id bigint, name varchar(20), PRIMARY KEY (id, name))", false),
    ("CREATE TABLE people (id bigint NOT NULL, name varchar(20), UNIQUE (id))", true),
    ("CREATE TABLE people (name varchar(20) PRIMARY KEY, id bigint NOT NULL UNIQUE)", true),
];

fn key_is_found(engine: Engine) {
    let Some(server) = server(engine) else { return };
    for (schema, unique) in SCHEMAS {
        let database = server.database("keys").unwrap();
        let url = database.tcp_url().unwrap();
        let folder = Folder::on(&database, &url);
        std::fs::create_dir(folder.path().join("schema")).unwrap();
        folder.write("schema/people.sql", schema);
        let plan = std::fs::read_to_string(folder.path().join("whimbrel.toml")).unwrap();
        let check = |plan: &str| {
            folder.write("whimbrel.toml", plan);
            for verb in ["validate", "plan"] {
                let output = folder.run(&[verb]);
                let said = said(&output);
                let found = said.contains("WB0418") && said.contains("key of `people`");
                assert_eq!(found, !unique, "{verb} {schema}: {said}");
                assert_eq!(output.status.code(), Some(if unique { 0 } else { 2 }), "{said}");
            }
        };
        // The table that the schema files would create, and then the same as it stands.
        check(&plan.replacen("\n\n", "\nschema = \"schema\"\n\n", 1));
        database.run(schema).unwrap();
        check(&plan);
    }
}

#[test]
fn a_key_that_nothing_on_postgresql_makes_unique_is_found_before() {
    key_is_found(Engine::Postgres);
}

#[test]
fn a_key_that_nothing_on_mariadb_makes_unique_is_found_before() {
    key_is_found(Engine::Mysql);
}

#[test]
fn who_may_not_create_the_ledger_on_postgresql() {
    let Some(server) = server(Engine::Postgres) else { return };
    let database = server.database("ledger").unwrap();
    let role = format!("r_{}", database.name());
    database
        .run(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'p'; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        ))
        .unwrap();
    let mut folder = Folder::on(&database, &url_of(&database, &role, "p"));
    folder.hidden.insert(0, (role.clone(), "ROLE".to_owned()));
    folder.check("migrate", expect![[r#"
        ! target: the ledger needs a schema of its own, which `ROLE` may not create; as the database's owner: `GRANT CREATE ON DATABASE "DATABASE" TO "ROLE"`, or `CREATE SCHEMA whimbrel AUTHORIZATION "ROLE"` (WB0453)

        ! target: `ROLE` may not create tables in the schema `public`: `GRANT CREATE, USAGE ON SCHEMA "public" TO "ROLE"` (WB0453)

        error[WB0453]: 2 things stand in the way of a run
          hint: mend it, then run the same command again; nothing was written
          more: whimbrel explain WB0453
        exit 2
    "#]]);
    folder.check("validate", expect![[r#"
        ok    plan                 1 table from 1 source
        ok    target               postgres://ROLE:***@127.0.0.1:PORT/DATABASE exists
        ok    working folder       .
        FAIL  sources and mapping  2 things stand in the way of a run
        ! target: the ledger needs a schema of its own, which `ROLE` may not create; as the database's owner: `GRANT CREATE ON DATABASE "DATABASE" TO "ROLE"`, or `CREATE SCHEMA whimbrel AUTHORIZATION "ROLE"` (WB0453)
        ! target: `ROLE` may not create tables in the schema `public`: `GRANT CREATE, USAGE ON SCHEMA "public" TO "ROLE"` (WB0453)
        1 failed check; nothing was written
        exit 2
    "#]]);
    // As it says, so it goes.
    let name = database.name();
    database
        .run(&format!(
            "GRANT CREATE ON DATABASE {name} TO {role}; GRANT CREATE, USAGE ON SCHEMA public TO {role}"
        ))
        .unwrap();
    folder.succeeds(&["migrate"]);
}

#[test]
fn who_may_not_insert_on_postgresql() {
    let Some(server) = server(Engine::Postgres) else { return };
    let database = server.database("insert").unwrap();
    let (name, role) = (database.name(), format!("r_{}", database.name()));
    database
        .run(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'p'; GRANT CREATE ON DATABASE {name} TO {role}; \
             CREATE TABLE people (id bigint PRIMARY KEY, name text); GRANT SELECT ON people TO {role}"
        ))
        .unwrap();
    let mut folder = Folder::on(&database, &url_of(&database, &role, "p"));
    folder.hidden.insert(0, (role.clone(), "ROLE".to_owned()));
    folder.check("migrate", expect![[r#"
        error[WB0453]: target: `ROLE` may not write to `people` (missing: INSERT, UPDATE, DELETE): `GRANT INSERT, UPDATE, DELETE ON "people" TO "ROLE"`
          hint: mend it, then run the same command again; nothing was written
          more: whimbrel explain WB0453
        exit 2
    "#]]);
    database.run(&format!("GRANT INSERT, UPDATE, DELETE ON people TO {role}")).unwrap();
    folder.succeeds(&["migrate"]);
}

#[test]
fn who_may_not_enter_the_ledger_on_postgresql() {
    let Some(server) = server(Engine::Postgres) else { return };
    let database = server.database("enter").unwrap();
    let role = format!("r_{}", database.name());
    let mut folder = Folder::on(&database, &database.tcp_url().unwrap());
    folder.succeeds(&["migrate"]);
    database
        .run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'p'; GRANT ALL ON people TO {role}"))
        .unwrap();
    folder.aim(&url_of(&database, &role, "p"), "");
    folder.hidden.insert(0, (role.clone(), "ROLE".to_owned()));
    folder.check("status", expect![[r#"
        error[WB0453]: prepare the ledger: the ledger is another user's (permission denied for schema whimbrel); its owner lets this user in: `GRANT CREATE, USAGE ON SCHEMA whimbrel TO …`, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA whimbrel TO …`: `postgres://ROLE:***@127.0.0.1:PORT/DATABASE`
          caused by: PostgreSQL's SQLSTATE 42501
          hint: `whimbrel validate` names what is missing and the GRANT for it
          more: whimbrel explain WB0453
        exit 2
    "#]]);
    database
        .run(&format!(
            "GRANT CREATE, USAGE ON SCHEMA whimbrel TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA whimbrel TO {role}"
        ))
        .unwrap();
    folder.write("people.csv", "id,name\n1,Ann\n2,Ben\n3,Cy\n");
    folder.succeeds(&["migrate", "--incremental"]);
}

#[test]
fn who_may_not_create_the_ledger_on_mariadb() {
    let Some(server) = server(Engine::Mysql) else { return };
    let database = server.database("ledger").unwrap();
    let name = database.name();
    database
        .run(&format!(
            "CREATE USER looker@'%' IDENTIFIED BY 'p'; GRANT SELECT ON {name}.* TO looker@'%'"
        ))
        .unwrap();
    let folder = Folder::on(&database, &url_of(&database, "looker", "p"));
    folder.check("migrate", expect![[r#"
        ! target: no privilege for CREATE, INSERT on `people`: GRANT CREATE, INSERT ON `DATABASE`.`people` TO 'looker'@'%' (WB0453)

        ! target: the ledger (tables `whimbrel_…`) cannot be created without: GRANT CREATE, CREATE VIEW, DROP, INSERT, UPDATE, DELETE ON `DATABASE`.* TO 'looker'@'%' (WB0453)

        error[WB0453]: 2 things stand in the way of a run
          hint: mend it, then run the same command again; nothing was written
          more: whimbrel explain WB0453
        exit 2
    "#]]);
    folder.check("validate", expect![[r#"
        ok    plan                 1 table from 1 source
        ok    target               mysql://looker:***@127.0.0.1:PORT/DATABASE exists
        ok    working folder       .
        FAIL  sources and mapping  2 things stand in the way of a run
        ! target: no privilege for CREATE, INSERT on `people`: GRANT CREATE, INSERT ON `DATABASE`.`people` TO 'looker'@'%' (WB0453)
        ! target: the ledger (tables `whimbrel_…`) cannot be created without: GRANT CREATE, CREATE VIEW, DROP, INSERT, UPDATE, DELETE ON `DATABASE`.* TO 'looker'@'%' (WB0453)
        1 failed check; nothing was written
        exit 2
    "#]]);
    database
        .run(&format!(
            "GRANT CREATE, CREATE VIEW, DROP, SELECT, INSERT, UPDATE, DELETE ON {name}.* TO looker@'%'"
        ))
        .unwrap();
    folder.succeeds(&["migrate"]);
}

#[test]
fn who_may_not_alter_a_table_loads_it_with_its_indexes_on_mariadb() {
    let Some(server) = server(Engine::Mysql) else { return };
    let database = server.database("alter").unwrap();
    let name = database.name();
    database
        .run(&format!(
            "CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(20), KEY by_name (name)); \
             CREATE USER filler@'%' IDENTIFIED BY 'p'; \
             GRANT CREATE, CREATE VIEW, DROP, SELECT, INSERT, UPDATE, DELETE ON {name}.* TO filler@'%'"
        ))
        .unwrap();
    let folder = Folder::on(&database, &url_of(&database, "filler", "p"));
    folder.aim(&url_of(&database, "filler", "p"), "[run]\nindexes = \"park\"\n");
    let output = folder.run(&["migrate", "--verbose"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = "warning[WB0631]: the indexes of `people` stay while it is loaded";
    assert!(said(&output).contains(told), "{}", said(&output));
    let keys = "SELECT count(*) FROM information_schema.statistics \
                WHERE table_schema = DATABASE() AND index_name = 'by_name'";
    assert_eq!((number(&database, keys), people(&database)), (1, 2));
}

#[test]
fn who_may_not_insert_on_mariadb() {
    let Some(server) = server(Engine::Mysql) else { return };
    let database = server.database("insert").unwrap();
    let name = database.name();
    let url = url_of(&database, "keeps", "p");
    let folder = Folder::on(&database, &database.tcp_url().unwrap());
    folder.succeeds(&["migrate"]);
    let ledger = database
        .rows("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'whimbrel%' AND table_type = 'BASE TABLE'")
        .unwrap();
    let mut grants =
        format!("CREATE USER keeps@'%' IDENTIFIED BY 'p'; GRANT SELECT ON {name}.* TO keeps@'%';");
    for table in ledger {
        let table = String::from_utf8(table[0].clone().unwrap()).unwrap();
        grants.push_str(&format!("GRANT INSERT, UPDATE, DELETE ON {name}.{table} TO keeps@'%';"));
    }
    database.run(&grants).unwrap();
    folder.write("people.csv", "id,name\n1,Ann\n2,Ben\n3,Cy\n");
    folder.aim(&url, "");
    let output = folder.run(&["migrate", "--incremental"]);
    expect![[r#"
        error[WB0453]: target: no privilege for INSERT, UPDATE, DELETE on `people`: GRANT INSERT, UPDATE, DELETE ON `DATABASE`.`people` TO 'keeps'@'%'
          hint: mend it, then run the same command again; nothing was written
          more: whimbrel explain WB0453
        exit 2
    "#]].assert_eq(&format!(
        "{}exit {}\n",
        folder.shown(&output),
        output.status.code().unwrap()
    ));
    database.run(&format!("GRANT INSERT, UPDATE, DELETE ON {name}.people TO keeps@'%'")).unwrap();
    folder.succeeds(&["migrate", "--incremental"]);
}
