//! The engines that targets stand on, and the servers of a chore: started once, shared by all of it.

use std::cell::OnceCell;
use std::fmt;
use std::process::Command;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail, ensure};
use whimbrel_testkit::servers::{self, Server};

/// An engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Engine {
    Sqlite,
    Postgres,
    Mysql,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::Mysql];

    /// Its name in schema folders and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    fn server(self) -> Option<servers::Engine> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(servers::Engine::Postgres),
            Self::Mysql => Some(servers::Engine::Mysql),
        }
    }

    /// Those that `--engine NAME` asks for; without it, all.
    pub fn wanted(arguments: &[&str]) -> Result<Vec<Self>> {
        let Some(at) = arguments.iter().position(|argument| *argument == "--engine") else {
            return Ok(Self::ALL.to_vec());
        };
        let name = arguments.get(at + 1).copied().unwrap_or_default();
        match Self::ALL.into_iter().find(|engine| engine.name() == name) {
            Some(engine) => Ok(vec![engine]),
            None => bail!("--engine needs sqlite, postgres or mysql, not `{name}`"),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where targets are made: beside the plan, or on a server.
#[derive(Debug)]
pub struct Ground {
    /// What stands there.
    pub engine: Engine,
    /// The server, of those that are one.
    pub server: Option<Rc<Server>>,
    /// The PostgreSQL server on which legacy databases stand, once it was asked for.
    old: Rc<OnceCell<Rc<Server>>>,
}

impl Ground {
    /// SQLite.
    pub fn file() -> Self {
        Self { engine: Engine::Sqlite, server: None, old: Rc::default() }
    }

    /// The server for legacy databases.
    pub fn old(&self) -> Result<&Server> {
        if self.old.get().is_none() {
            let _set = self.old.set(Rc::new(Server::any(servers::Engine::Postgres)?));
        }
        Ok(self.old.get().context("it was set")?)
    }

    /// One for each engine: the servers that the environment names, else private ones.
    pub fn of(engines: &[Engine]) -> Result<Vec<Self>> {
        let (mut grounds, old) = (Vec::new(), Rc::new(OnceCell::new()));
        for engine in engines {
            let server = engine.server().map(Server::any).transpose()?.map(Rc::new);
            if let (Engine::Postgres, Some(server)) = (engine, &server) {
                let _first = old.set(server.clone());
            }
            grounds.push(Self { engine: *engine, server, old: old.clone() });
        }
        Ok(grounds)
    }

    /// The variables by which children find the servers.
    pub fn variables(grounds: &[Self]) -> Vec<(String, String)> {
        let servers = grounds.iter().filter_map(|ground| ground.server.as_deref());
        let both = |server: &Server| {
            let engine = server.engine();
            let tcp = server.tcp_url().map(|url| (engine.tcp_variable(), url));
            [Some((engine.variable(), server.url())), tcp].into_iter().flatten()
        };
        servers.flat_map(both).collect()
    }
}

/// Brings servers to a Debian on which we are root; elsewhere says what to install.
pub fn install() -> Result<()> {
    for engine in servers::Engine::ALL {
        let Err(why) = Server::any(engine) else { continue };
        let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        let debian = std::path::Path::new("/etc/debian_version").exists();
        ensure!(why.is_not_installed() && root && debian, "{why}");
        println!("{why}: installing it");
        for arguments in
            [&["update"][..], &["install", "--yes", "--no-install-recommends", engine.package()]]
        {
            let mut apt = Command::new("apt-get");
            let status = apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments).status()?;
            ensure!(status.success(), "apt-get {} failed", arguments.join(" "));
        }
        Server::any(engine)?;
    }
    Ok(())
}
