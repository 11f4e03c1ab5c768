//! Encrypted connections, with an authority of our own.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use expect_test::expect;
use whimbrel_testkit::servers::{Engine, Options, private_or_skip};

use super::place::{Folder, people, said, server, skipped, url_of, wait_until};

/// Makes in `folder` an authority (`ca.pem`), a certificate for the host `localhost` (`server.pem`,
/// `server.key`) and one for the user `certain` (`user.pem`, `user.key`); false where there is no
/// `openssl`.
fn certificates(folder: &Path) -> bool {
    let openssl = |arguments: &str| {
        let mut openssl = Command::new("openssl");
        let output = openssl.args(arguments.split(' ')).current_dir(folder).output();
        output.is_ok_and(|output| output.status.success())
    };
    fs::write(folder.join("server.ext"), "subjectAltName=DNS:localhost\n").unwrap();
    fs::write(folder.join("user.ext"), "extendedKeyUsage=clientAuth\n").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let mut made =
        openssl(&format!("req -x509 {key} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"));
    for (name, subject) in [("server", "localhost"), ("user", "certain")] {
        made =
            made && openssl(&format!(
                "req {key} -subj /CN={subject} -keyout {name}.key -out {name}.csr"
            )) && openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                 -extfile {name}.ext -out {name}.pem"
            ));
    }
    made
}

/// The libraries' words differ between versions; ours do not.
fn ours(folder: &Folder) -> String {
    let told = folder.told("migrate");
    let cut = |line: &str| match (line.find("(invalid peer"), line.find("): `")) {
        (Some(from), Some(to)) => format!("{}(…{}\n", &line[..from], &line[to..]),
        _ => format!("{line}\n"),
    };
    told.lines().map(cut).collect()
}

#[test]
fn encryption_to_postgresql() {
    let Some(server) = private_or_skip(Engine::Postgres, &Options::default()) else { return };
    let home = server.folder().unwrap();
    let database = server.database("tls").unwrap();
    let plain = database.tcp_url().unwrap();
    let named = plain.replace("127.0.0.1", "localhost");
    let mut folder = Folder::on(&database, &format!("{plain}?sslmode=require"));
    if !certificates(folder.path()) {
        return skipped("encryption_to_postgresql", "there is no `openssl` here");
    }
    let password = plain.split(['@', ':']).nth(2).unwrap().to_owned();
    folder.hide(&password, "PASSWORD");
    folder.check("migrate", expect![[r#"
        error[WB0454]: connect: the server does not encrypt; it would with `ssl = on`, `ssl_cert_file`, `ssl_key_file`: `postgres://whimbrel:***@127.0.0.1:PORT/DATABASE?sslmode=require`
          hint: the section TLS of docs/databases.md has the parameters
          more: whimbrel explain WB0454
        exit 2
    "#]]);
    // From here on it encrypts, and by TCP it takes nothing else.
    let owner = fs::metadata(home.join("data")).unwrap();
    for name in ["ca.pem", "server.pem", "server.key"] {
        let to = home.join("data").join(name);
        fs::copy(folder.path().join(name), &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let rules = home.join("data/pg_hba.conf");
    let before = fs::read_to_string(&rules).unwrap();
    fs::write(
        &rules,
        format!("hostnossl all all all reject\nhostssl all certain all cert\n{before}"),
    )
    .unwrap();
    for sql in [
        "CREATE ROLE certain LOGIN SUPERUSER",
        "ALTER SYSTEM SET ssl_ca_file = 'ca.pem'",
        "ALTER SYSTEM SET ssl_cert_file = 'server.pem'",
        "ALTER SYSTEM SET ssl_key_file = 'server.key'",
        "ALTER SYSTEM SET ssl = on",
        "SELECT pg_reload_conf()",
    ] {
        database.run(sql).unwrap();
    }
    wait_until("it encrypts", || {
        let shown = database.rows("SELECT current_setting('ssl')").unwrap();
        shown[0][0].as_deref() == Some(b"on")
    });
    folder.aim(&format!("{plain}?sslmode=disable"), "");
    folder.check("migrate", expect![[r#"
        error[WB0454]: connect: the server lets nobody in like this without encryption; with `sslmode=require` it may (pg_hba.conf rejects connection for host "127.0.0.1", user "whimbrel", database "DATABASE", no encryption): `postgres://whimbrel:***@127.0.0.1:PORT/DATABASE?sslmode=disable`
          caused by: PostgreSQL's SQLSTATE 28000
          hint: the section TLS of docs/databases.md has the parameters
          more: whimbrel explain WB0454
        exit 2
    "#]]);
    folder.aim(&format!("{named}?sslmode=verify-full"), "");
    expect![[r#"
        error[WB0454]: connect: the server's certificate is not of an authority that is trusted here; name the authority's: `sslrootcert=FILE` (…): `postgres://whimbrel:***@localhost:PORT/DATABASE?sslmode=verify-full`
          hint: the section TLS of docs/databases.md has the parameters
          more: whimbrel explain WB0454
        exit 2
    "#]].assert_eq(&ours(&folder));
    folder.aim(&format!("{plain}?sslmode=verify-full&sslrootcert=ca.pem"), "");
    expect![[r#"
        error[WB0454]: connect: the server's certificate is for another host; name that one in the URL, or trust the authority alone: `sslmode=verify-ca` (…): `postgres://whimbrel:***@127.0.0.1:PORT/DATABASE?sslmode=verify-full&sslrootcert=ca.pem`
          hint: the section TLS of docs/databases.md has the parameters
          more: whimbrel explain WB0454
        exit 2
    "#]].assert_eq(&ours(&folder));
    folder.aim(&format!("{named}?sslmode=verify-full&sslrootcert=missing.pem"), "");
    folder.check("migrate", expect![[r#"
        error[WB0400]: `sslrootcert` cannot be read (No such file or directory (os error 2)): `./missing.pem`: `postgres://whimbrel:***@localhost:PORT/DATABASE?sslmode=verify-full&sslrootcert=missing.pem`
          more: whimbrel explain WB0400
        exit 2
    "#]]);
    folder.aim(&format!("{named}?sslmode=require&sslrootcert=ca.pem"), "");
    folder.check("migrate", expect![[r#"
        error[WB0400]: the authority's certificate is looked at with `sslmode=verify-ca` or `verify-full` only: `postgres://whimbrel:***@localhost:PORT/DATABASE?sslmode=require&sslrootcert=ca.pem`
          more: whimbrel explain WB0400
        exit 2
    "#]]);
    // What encrypts goes; the certificate lies beside the plan, wherever the command is typed.
    folder.aim(&format!("{named}?sslmode=verify-full&sslrootcert=ca.pem"), "");
    let plan = folder.path().join("whimbrel.toml");
    let elsewhere = folder.command(&["migrate", plan.to_str().unwrap()]).current_dir("/").output();
    let elsewhere = elsewhere.unwrap();
    assert!(elsewhere.status.success(), "{}", said(&elsewhere));
    assert_eq!(people(&database), 2);
    let certain = url_of(&database, "certain", "none").replace("127.0.0.1", "localhost");
    for url in [
        plain.clone(),
        format!("{plain}?sslmode=prefer"),
        format!("{plain}?sslmode=require"),
        format!("{plain}?sslmode=verify-ca&sslrootcert=ca.pem"),
        format!(
            "{certain}?sslmode=verify-full&sslrootcert=ca.pem&sslcert=user.pem&sslkey=user.key"
        ),
    ] {
        folder.aim(&url, "");
        folder.succeeds(&["migrate"]);
    }
    reads_over_tls(&folder, &format!("{named}?sslmode=verify-full&sslrootcert=ca.pem"));
}

/// `analyze`, and a database as a source.
fn reads_over_tls(folder: &Folder, url: &str) {
    folder.succeeds(&["analyze", url]);
    let plan = format!(
        "name = \"copy\"\ntarget = \"sqlite:copy.db\"\n[source.old]\ndatabase = \"{url}\"\n\
         table = \"people\"\n[[table]]\ninto = \"people\"\nfrom = \"old\"\nkey = [\"id\"]\n\
         [table.columns]\nid = \"id\"\nname = \"name\"\n"
    );
    folder.write("whimbrel.toml", &plan);
    folder.succeeds(&["migrate"]);
    let copy = rusqlite::Connection::open(folder.path().join("copy.db")).unwrap();
    let rows: i64 = copy.query_row("SELECT count(*) FROM people", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
}

#[test]
fn encryption_to_mariadb() {
    if let Some(plain) = server(Engine::Mysql) {
        let database = plain.database("plain").unwrap();
        let url = url_of(&database, "whimbrel", "any");
        Folder::on(&database, &format!("{url}?ssl-mode=REQUIRED")).check("migrate", expect![[r#"
            error[WB0454]: connect: the server does not encrypt; it would with `ssl_cert`, `ssl_key`: `mysql://whimbrel:***@127.0.0.1:PORT/DATABASE?ssl-mode=REQUIRED`
              hint: the section TLS of docs/databases.md has the parameters
              more: whimbrel explain WB0454
            exit 2
        "#]]);
    }
    let made = tempfile::tempdir().unwrap();
    if !certificates(made.path()) {
        return skipped("encryption_to_mariadb", "there is no `openssl` here");
    }
    // The server runs as another user, at times.
    fs::set_permissions(made.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut options = Options::default();
    for (setting, name) in
        [("ssl-ca", "ca.pem"), ("ssl-cert", "server.pem"), ("ssl-key", "server.key")]
    {
        let file = made.path().join(name);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        options = options.set(setting, file.to_str().unwrap());
    }
    let Some(server) = private_or_skip(Engine::Mysql, &options) else { return };
    let database = server.database("tls").unwrap();
    database.run("SET GLOBAL require_secure_transport = 1").unwrap();
    let plain = database.tcp_url().unwrap();
    let named = plain.replace("127.0.0.1", "localhost");
    let folder = Folder::on(&database, &format!("{plain}?ssl-mode=DISABLED"));
    for name in ["ca.pem", "user.pem", "user.key"] {
        fs::copy(made.path().join(name), folder.path().join(name)).unwrap();
    }
    folder.check("migrate", expect![[r#"
        error[WB0451]: connect: the server refuses the login, or one without encryption, which `ssl-mode=REQUIRED` would have (Access denied for user 'whimbrel'@'127.0.0.1' (using password: YES)): `mysql://whimbrel:***@127.0.0.1:PORT/DATABASE?ssl-mode=DISABLED`
          hint: check user and password in the URL; signs of a password that mean something in URLs are written with percent signs, as `%40` for `@`
          more: whimbrel explain WB0451
        exit 2
    "#]]);
    folder.aim(&format!("{named}?ssl-mode=VERIFY_IDENTITY"), "");
    expect![[r#"
        error[WB0454]: connect: the server's certificate is not of an authority that is trusted here; name the authority's: `ssl-ca=FILE` (…): `mysql://whimbrel:***@localhost:PORT/DATABASE?ssl-mode=VERIFY_IDENTITY`
          hint: the section TLS of docs/databases.md has the parameters
          more: whimbrel explain WB0454
        exit 2
    "#]].assert_eq(&ours(&folder));
    folder.aim(&format!("{plain}?ssl-mode=VERIFY_IDENTITY&ssl-ca=ca.pem"), "");
    expect![[r#"
        error[WB0454]: connect: the server's certificate is for another host; name that one in the URL, or trust the authority alone: `ssl-mode=VERIFY_CA` (…): `mysql://whimbrel:***@127.0.0.1:PORT/DATABASE?ssl-mode=VERIFY_IDENTITY&ssl-ca=ca.pem`
          hint: the section TLS of docs/databases.md has the parameters
          more: whimbrel explain WB0454
        exit 2
    "#]].assert_eq(&ours(&folder));
    folder.aim(&format!("{named}?ssl-mode=VERIFY_IDENTITY&ssl-ca=ca.pem"), "");
    let plan = folder.path().join("whimbrel.toml");
    let elsewhere = folder.command(&["migrate", plan.to_str().unwrap()]).current_dir("/").output();
    let elsewhere = elsewhere.unwrap();
    assert!(elsewhere.status.success(), "{}", said(&elsewhere));
    assert_eq!(people(&database), 2);
    database.run("CREATE USER certain@'%' REQUIRE X509; GRANT ALL ON *.* TO certain@'%'").unwrap();
    let certain = url_of(&database, "certain", "").replace("127.0.0.1", "localhost");
    for url in [
        plain.clone(),
        format!("{plain}?ssl-mode=PREFERRED"),
        format!("{plain}?ssl-mode=REQUIRED"),
        format!("{plain}?ssl-mode=VERIFY_CA&ssl-ca=ca.pem"),
        format!("{certain}?ssl-mode=REQUIRED&ssl-cert=user.pem&ssl-key=user.key"),
    ] {
        folder.aim(&url, "");
        folder.succeeds(&["migrate"]);
    }
    reads_over_tls(&folder, &format!("{named}?ssl-mode=VERIFY_IDENTITY&ssl-ca=ca.pem"));
}
