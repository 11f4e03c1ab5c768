//! A working copy of a system: its folder, and its target on one of the engines.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, Result};
use rusqlite::Connection;
use tempfile::TempDir;
use whimbrel_testkit::servers::Database;

use crate::engine::{Engine, Ground};
use crate::fixtures::{Legacy, System};
use crate::picture;

/// A folder with plan, schema and legacy data, and a target that is empty at first.
#[derive(Debug)]
pub struct Site<'a> {
    folder: TempDir,
    ground: &'a Ground,
    target: Target<'a>,
    /// The legacy database on a server; one in a file is in the folder.
    legacy: Option<Rc<Database<'a>>>,
}

#[derive(Debug)]
enum Target<'a> {
    File(PathBuf),
    Database(Database<'a>, String),
}

impl<'a> Site<'a> {
    /// A new one. With a batch size of its own the plan says so.
    pub fn of(system: &System, ground: &'a Ground, batch_size: Option<u64>) -> Result<Self> {
        let mut site = Self::empty(ground, system.database)?;
        let folder = site.folder.path();
        system.set_up(folder, batch_size)?;
        let dump = |engine: Engine| {
            fs::read_to_string(folder.join(format!("legacy/legacy.{engine}.sql"))).context("a dump")
        };
        match system.legacy {
            Legacy::Folder => {}
            Legacy::Database(Engine::Sqlite) => {
                Connection::open(folder.join("legacy.db"))?
                    .execute_batch(&dump(Engine::Sqlite)?)?;
            }
            Legacy::Database(engine) => {
                let database = ground.old()?.database("legacy")?;
                database.run(&dump(engine)?)?;
                site.legacy = Some(Rc::new(database));
            }
        }
        Ok(site)
    }

    /// An empty folder. On SQLite the plan says where the target is; on servers the variable
    /// `TARGET` does.
    pub fn empty(ground: &'a Ground, file: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let target = match &ground.server {
            None => Target::File(folder.path().join(file)),
            Some(server) => {
                let database = server.database("site")?;
                let url = database.url();
                Target::Database(database, url)
            }
        };
        Ok(Self { folder, ground, target, legacy: None })
    }

    /// Another one in the same state. Legacy files are linked, since no run writes to them, so that
    /// they are the same files to it.
    pub fn copy(&self) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        copy_folder(self.folder(), folder.path())?;
        let target = match &self.target {
            Target::File(file) => {
                let name = file.file_name().context("a target has a name")?;
                Target::File(folder.path().join(name))
            }
            Target::Database(database, _) => {
                let copy = database.copy("copy")?;
                let url = copy.url();
                Target::Database(copy, url)
            }
        };
        Ok(Self { folder, ground: self.ground, target, legacy: self.legacy.clone() })
    }

    /// Where commands are run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What `TARGET` says to commands; `None` where the plan's own word stands.
    pub fn target(&self) -> Option<&str> {
        match &self.target {
            Target::File(_) => None,
            Target::Database(_, url) => Some(url),
        }
    }

    /// What `LEGACY` says to commands; `None` where the plan's own word stands.
    pub fn legacy(&self) -> Option<String> {
        self.legacy.as_ref().map(|database| database.url())
    }

    /// The database of a server's.
    pub fn database(&self) -> Option<&Database<'a>> {
        match &self.target {
            Target::File(_) => None,
            Target::Database(database, _) => Some(database),
        }
    }

    /// Leads commands another way to the same target: through a proxy.
    pub fn lead(&mut self, url: String) {
        match &mut self.target {
            Target::File(_) => {}
            Target::Database(_, target) => *target = url,
        }
    }

    /// The file of SQLite.
    pub fn file(&self) -> Option<&Path> {
        match &self.target {
            Target::File(file) => Some(file),
            Target::Database(..) => None,
        }
    }

    /// Which engine its target stands on.
    pub fn engine(&self) -> Engine {
        self.ground.engine
    }

    /// The target, for the checker: the file itself or a picture of the database.
    pub fn look(&self) -> Result<Connection> {
        match &self.target {
            Target::File(file) => {
                let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
                Connection::open_with_flags(file, flags)
                    .with_context(|| format!("opening {}", file.display()))
            }
            Target::Database(database, _) => picture::of(database, self.ground.engine),
        }
    }

    /// Whether nothing has been made in the target, or of it.
    pub fn is_untouched(&self) -> Result<bool> {
        match &self.target {
            Target::File(file) => Ok(!file.exists()),
            Target::Database(database, _) => {
                Ok(picture::tables(database, self.ground.engine)?.is_empty())
            }
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = from.symlink_metadata()?.file_type();
        if kind.is_dir() {
            copy_folder(&from, &to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else if from.components().any(|part| part.as_os_str() == "legacy") {
            fs::hard_link(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
