//! A full disk below a server: said as what it is, and gone on with once there is room.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use expect_test::{Expect, expect};
use whimbrel_testkit::servers::Engine;

use super::place::{Folder, error, people, said, server, skipped};

/// A small file system of its own, nearly full, which the server's user may write; unmounted when
/// dropped. (On a tmpfs InnoDB meets the end of the space in a way that no disk has.)
struct Disk(PathBuf);

impl Disk {
    fn new(at: PathBuf, like: &Path) -> Option<Self> {
        let image = at.with_extension("image");
        File::create(&image).unwrap().set_len(48 << 20).unwrap();
        let made = done(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image));
        std::fs::create_dir(&at).unwrap();
        let mounted = made && done(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at));
        if !mounted {
            return None;
        }
        let disk = Self(at.join("disk"));
        std::fs::create_dir(&disk.0).unwrap();
        let owner = std::fs::metadata(like).unwrap();
        chown(&disk.0, Some(owner.uid()), Some(owner.gid())).unwrap();
        // What is left is about 6 MB.
        std::fs::write(disk.ballast(), vec![1; 34 << 20]).unwrap();
        Some(disk)
    }

    fn ballast(&self) -> PathBuf {
        self.0.with_file_name("ballast")
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

fn done(command: &mut Command) -> bool {
    let outcome = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    outcome.is_ok_and(|status| status.success())
}

impl Drop for Disk {
    fn drop(&mut self) {
        done(Command::new("umount").arg("-l").arg(self.0.parent().unwrap()));
    }
}

fn check(engine: Engine, test: &str, table: impl Fn(&Path) -> String, told: Expect) {
    const ROWS: usize = 10_000;
    let Some(server) = server(engine) else { return };
    let home = server.folder().unwrap();
    let Some(disk) = Disk::new(home.join(test), &home) else {
        return skipped(test, "no file system can be made and mounted here");
    };
    let database = server.database("disk").unwrap();
    for sql in table(&disk.0).split(';') {
        database.run(sql).unwrap();
    }
    let mut folder = Folder::on(&database, &database.tcp_url().unwrap());
    folder.hide(&disk.0.to_string_lossy(), "DISK");
    folder.aim(&database.tcp_url().unwrap(), "[run]\nbatch_size = 500\n");
    folder.many(ROWS, 1000);
    let output = folder.run(&["migrate"]);
    assert_eq!(output.status.code(), Some(1), "{}{}", said(&output), server.log());
    let shown = folder.shown(&output);
    let mut error = error(&shown);
    // The server names the file and how far it came.
    if let (Some(from), Some(to)) = (error.find("(could not"), error.find("): `")) {
        error.replace_range(from..to, "(…");
    }
    told.assert_eq(&error);
    let before = people(&database);
    assert!(before < ROWS as i64, "{before}");
    disk.make_room();
    folder.succeeds(&["migrate"]);
    assert_eq!(people(&database), ROWS as i64);
    drop(database);
    if engine == Engine::Postgres {
        server.run(&format!("DROP TABLESPACE {test}")).unwrap();
    }
}

#[test]
fn a_full_disk_of_postgresql() {
    check(
        Engine::Postgres,
        "full_disk",
        |disk| {
            format!(
                "CREATE TABLESPACE full_disk LOCATION '{}';\
                 CREATE TABLE people (id bigint PRIMARY KEY, name text) TABLESPACE full_disk",
                disk.display()
            )
        },
        expect![[r#"
            error[WB0406]: writing to `people`
              caused by: write to `people`: the server's disk is full (…): `postgres://whimbrel:***@127.0.0.1:PORT/DATABASE`
              caused by: PostgreSQL's SQLSTATE 53100
              hint: mend the cause, then run the same command again; what is committed stays
              more: whimbrel explain WB0406
        "#]],
    );
}

#[test]
fn a_full_disk_of_mariadb() {
    check(
        Engine::Mysql,
        "full_disk",
        |disk| {
            format!(
                "CREATE TABLE people (id bigint PRIMARY KEY, name longtext) DATA DIRECTORY = '{}'",
                disk.display()
            )
        },
        expect![[r#"
            error[WB0406]: writing to `people`
              caused by: write to `people`: the server's disk is full (The table 'people' is full): `mysql://whimbrel:***@127.0.0.1:PORT/DATABASE`
              caused by: the server's error 1114
              hint: mend the cause, then run the same command again; what is committed stays
              more: whimbrel explain WB0406
        "#]],
    );
}
