//! The real binary in a folder of its own: no environment, no input, and its answer as one text.

use crate::support::root;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A project in a temporary folder: the repository's `bgx.toml`, stdlib and playbooks until a test writes others.
pub struct Project {
    folder: TempDir,
}

pub fn project() -> Project {
    let project = empty();
    std::fs::copy(root().join("bgx.toml"), project.path().join("bgx.toml")).expect("the repository has a bgx.toml");
    for folder in ["stdlib", "playbooks", "team"] {
        std::fs::create_dir(project.path().join(folder)).expect("a temporary folder can be written");
        for entry in std::fs::read_dir(root().join(folder)).expect("the repository has this folder").flatten() {
            std::fs::copy(entry.path(), project.path().join(folder).join(entry.file_name())).expect("a file can be copied");
        }
    }
    for example in std::fs::read_dir(root().join("examples")).expect("the repository has examples").flatten() {
        let folder = project.path().join("examples").join(example.file_name());
        std::fs::create_dir_all(&folder).expect("a temporary folder can be written");
        std::fs::copy(example.path().join("bgx.toml"), folder.join("bgx.toml")).expect("an example has a bgx.toml");
    }
    project
}

/// A folder without any file.
pub fn empty() -> Project {
    Project { folder: tempfile::tempdir().expect("a temporary folder can be made") }
}

impl Project {
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Project {
        self.write(name, content);
        self
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        std::fs::write(path, content).expect("a temporary folder can be written");
    }

    pub fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.path().join(name)).ok()
    }

    /// The repository's `bgx.toml` with one text in place of another.
    pub fn edit_config(&self, from: &str, to: &str) {
        let text = self.read("bgx.toml").expect("the project has a bgx.toml");
        assert!(text.contains(from), "bgx.toml has no `{from}`");
        self.write("bgx.toml", text.replacen(from, to, 1));
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bgx"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.args(args).current_dir(self.path()).env_clear().env("PATH", path).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs bgx to its end: standard output, standard error and the exit status, with the folder's path as `$PROJECT`.
    pub fn bgx(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("the binary can be started");
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("bgx prints UTF-8"));
        let mut text = stdout;
        if !stderr.is_empty() {
            text.push_str("------- stderr -------\n");
            text.push_str(&stderr);
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let status = output.status.code().map_or("a signal".to_owned(), |code| code.to_string());
        text.push_str(&format!("[exit status: {status}]\n"));
        text.replace(&self.path().display().to_string(), "$PROJECT")
    }

    /// Starts bgx and leaves it running.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).spawn().expect("the binary can be started")
    }

    /// What the sandbox holds; a read that changes nothing.
    pub fn world(&self) -> String {
        self.bgx(&["sandbox", "show"])
    }
}

/// The last line of a text from [`Project::bgx`], as a number.
pub fn exit_code(text: &str) -> Option<i32> {
    text.trim_end().rsplit_once("[exit status: ")?.1.strip_suffix(']')?.parse().ok()
}
