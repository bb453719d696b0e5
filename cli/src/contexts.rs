//! Contexts: servers by name, each with the key to ask with, in one file that only its owner can read.
//!
//! Owns the file. What is used of it where, `command::connection` decides.

use std::{
    collections::BTreeMap,
    fmt, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use drydock_domain::ApiKey;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::Mode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// Name of the context where none is named.
pub const DEFAULT: &str = "default";

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextsError {
    /// Nothing says where it is.
    #[error("neither XDG_CONFIG_HOME nor HOME says where contexts are kept: set DRYDOCK_CONFIG to a file")]
    Nowhere,
    /// It cannot be read or written.
    #[error("cannot use the file of contexts")]
    File(#[from] io::Error),
    /// Others can read it, and so its keys.
    #[error("others can read '{}', which holds keys: chmod 600 it, and revoke them if others did", .0.display())]
    Open(PathBuf),
    /// It is no file of ours. What it holds is not shown: it may be a key.
    #[error("'{}' is not a file of contexts (line {line}): correct it, or remove it and log in again", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
    },
    /// There is no such context.
    #[error("there is no context '{0}': `drydock context ls` lists them, `drydock login --context {0}` makes it")]
    Unknown(String),
}

/// A server and how to ask it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its address.
    pub server: String,
    /// The key; none after a logout.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    pub key: Option<SecretString>,
}

impl Entry {
    /// The part of its key that is no secret.
    pub fn prefix(&self) -> Option<String> {
        let key: ApiKey = self.key.as_ref()?.expose_secret().parse().ok()?;
        Some(key.prefix().to_string())
    }
}

/// The one place where a key is to be written down.
fn exposed<S: Serializer>(key: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    key.as_ref().map(|key| key.expose_secret()).serialize(serializer)
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Entry>,
}

/// The contexts of this user.
#[derive(Debug)]
pub struct Contexts {
    path: Option<PathBuf>,
    content: Content,
}

impl Contexts {
    /// Reads the file: the one given, else `drydock/config.toml` in `$XDG_CONFIG_HOME` or `~/.config`. One that is not there has none.
    ///
    /// # Errors
    /// It cannot be read, others can read it, or it is no file of contexts.
    pub fn load(given: Option<&Path>) -> Result<Self, ContextsError> {
        let path = given.map(Path::to_owned).or_else(home);
        let content = match &path {
            Some(path) => read(path)?,
            None => Content::default(),
        };
        Ok(Self { path, content })
    }

    /// The file, whether it is there or not.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether the file says which context is in use.
    pub const fn says_current(&self) -> bool {
        self.content.current.is_some()
    }

    /// The name of the context in use.
    pub fn current(&self) -> &str {
        self.content.current.as_deref().unwrap_or(DEFAULT)
    }

    /// The context called `name`.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.content.contexts.get(name)
    }

    /// The context that is to be there.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn get(&self, name: &str) -> Result<&Entry, ContextsError> {
        self.find(name).ok_or_else(|| ContextsError::Unknown(name.to_owned()))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.content.contexts.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// Keeps a context and uses it from now on.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put(&mut self, name: &str, entry: Entry) -> Result<(), ContextsError> {
        self.content.contexts.insert(name.to_owned(), entry);
        self.content.current = Some(name.to_owned());
        self.save()
    }

    /// Uses another one from now on.
    ///
    /// # Errors
    /// There is none of this name, or the file cannot be written.
    pub fn switch(&mut self, name: &str) -> Result<(), ContextsError> {
        self.get(name)?;
        self.content.current = Some(name.to_owned());
        self.save()
    }

    /// Forgets the key of a context; answers whether there was one.
    ///
    /// # Errors
    /// There is none of this name, or the file cannot be written.
    pub fn forget_key(&mut self, name: &str) -> Result<bool, ContextsError> {
        let entry = self.content.contexts.get_mut(name).ok_or_else(|| ContextsError::Unknown(name.to_owned()))?;
        let had = entry.key.take().is_some();
        self.save().map(|()| had)
    }

    /// Removes a context.
    ///
    /// # Errors
    /// There is none of this name, or the file cannot be written.
    pub fn remove(&mut self, name: &str) -> Result<(), ContextsError> {
        self.content.contexts.remove(name).ok_or_else(|| ContextsError::Unknown(name.to_owned()))?;
        if self.content.current.as_deref() == Some(name) {
            self.content.current = None;
        }
        self.save()
    }

    /// Whole or not at all, and never readable by others, not even for a moment.
    fn save(&self) -> Result<(), ContextsError> {
        let path = self.path.as_ref().ok_or(ContextsError::Nowhere)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs_err::create_dir_all(directory)?;
        let text = toml::to_string(&self.content).map_err(io::Error::other)?;
        let new = path.with_extension(format!("new-{}", std::process::id()));
        let written = write(&new, &text).and_then(|()| fs_err::rename(&new, path));
        if written.is_err() {
            // What is left of it holds a key; there is nothing more to do where it cannot be removed.
            let _gone = fs_err::remove_file(&new);
        }
        Ok(written?)
    }
}

/// Where contexts are by the XDG base directory specification, which ignores relative paths.
fn home() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(config.join("drydock/config.toml"))
}

fn read(path: &Path) -> Result<Content, ContextsError> {
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
        Err(error) => return Err(error.into()),
    };
    let mode = Mode::from_raw_mode(rustix::fs::stat(path).map_err(io::Error::from)?.st_mode);
    if mode.intersects(Mode::RWXG | Mode::RWXO) {
        return Err(ContextsError::Open(path.to_owned()));
    }
    toml::from_str(&text).map_err(|error| {
        let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or_default());
        ContextsError::Invalid { path: path.to_owned(), line: before.matches('\n').count() + 1 }
    })
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match (&self.key, self.prefix()) {
            (_, Some(prefix)) => format!("key dd_{prefix}_…"),
            (Some(_), None) => "a token".to_owned(),
            (None, None) => "no key".to_owned(),
        };
        write!(f, "{}, {key}", self.server)
    }
}

#[cfg(test)]
mod tests;
