//! What the tests of the real binary share: a project in a folder of its own, programs that end with their test, python.

use crate::support::root;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Between two looks at a child that has no better way to say that it ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A copy of what a project needs, with a sandbox of its own.
pub struct Project {
    folder: TempDir,
}

impl Project {
    pub fn new() -> Project {
        let text = std::fs::read_to_string(root().join("bgx.toml")).expect("the repository has a bgx.toml");
        Project::of(&text)
    }

    /// One whose instances have addresses that lead nowhere from here.
    pub fn without_version_probe() -> Project {
        let text = std::fs::read_to_string(root().join("bgx.toml")).expect("the repository has a bgx.toml");
        let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("version_probe") && !line.starts_with("hooks")).collect();
        assert_eq!(kept.len() + 2, text.lines().count(), "bgx.toml names one version probe and one module of hooks");
        Project::of(&kept.join("\n"))
    }

    fn of(text: &str) -> Project {
        let folder = TempDir::new().expect("a temporary folder can be made");
        std::fs::write(folder.path().join("bgx.toml"), text).expect("a temporary folder can be written");
        for name in ["stdlib", "playbooks", "team"] {
            copy(&root().join(name), &folder.path().join(name));
        }
        Project { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("a temporary folder can be written");
    }

    /// The binary of this build in this project, without a terminal and without the caller's AWS settings.
    pub fn bgx(&self, args: &[&str]) -> Program {
        self.bgx_with(&[], args)
    }

    /// The same with more in its environment.
    pub fn bgx_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bgx"));
        command.current_dir(self.folder.path()).args(args);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        Program::start(command)
    }

    /// The same with standard input from a pipe: what a test types into it.
    pub fn bgx_typing(&self, args: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bgx"));
        command.current_dir(self.folder.path()).args(args).stdin(Stdio::piped());
        Program::begin(command)
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a temporary folder can be written");
    for entry in std::fs::read_dir(from).expect("the repository's folder can be read") {
        let entry = entry.expect("the repository's folder can be read");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("its kind is known").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("a file can be copied")),
        }
    }
}

/// A child process whose output is read all the time; it is killed, by its own id, when its test ends before it does.
pub struct Program {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    typed: Option<ChildStdin>,
}

/// How a program ended and everything that it said on both streams.
#[derive(Debug)]
pub struct Said {
    /// Absent where a signal ended it.
    pub code: Option<i32>,
    pub text: String,
}

impl Program {
    pub fn start(mut command: Command) -> Program {
        command.stdin(Stdio::null());
        Program::begin(command)
    }

    fn begin(mut command: Command) -> Program {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{:?} does not start: {error}", command.get_program()));
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("it is piped")), Box::new(child.stderr.take().expect("it is piped"))];
        for stream in streams {
            let sender = sender.clone();
            // Whoever does not read stops the writer; after the test nobody wants the lines, and sending them may fail.
            std::thread::spawn(move || BufReader::new(stream).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        }
        let typed = child.stdin.take();
        Program { child, lines, seen: Vec::new(), typed }
    }

    /// Types these lines; the program may not have read them yet.
    pub fn types(&mut self, lines: &[&str]) {
        let stdin = self.typed.as_mut().expect("its standard input is a pipe");
        stdin.write_all(format!("{}\n", lines.join("\n")).as_bytes()).expect("the program reads");
    }

    /// The first line, of those not yet seen, that holds `part`.
    pub fn line(&mut self, part: &str, limit: Duration) -> String {
        let end = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("`{part}` was not said within {limit:?}:\n{}", self.seen.join("\n")),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without saying `{part}`:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Sends a signal, such as `TERM`, to this process alone.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("`kill` can be run");
        assert!(sent.success(), "SIG{name} could not be sent");
    }

    /// Waits for the end.
    pub fn end(mut self, limit: Duration) -> Said {
        drop(self.typed.take());
        let end = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            if Instant::now() >= end {
                self.seen.extend(self.lines.try_iter());
                panic!("it did not end within {limit:?}:\n{}", self.seen.join("\n"));
            }
            std::thread::sleep(LOOK_EVERY);
        };
        // Both streams are closed now, so this ends too.
        self.seen.extend(self.lines.iter());
        Said { code: status.code(), text: self.seen.join("\n") }
    }

    /// Waits for an end with exit code 0; what was said.
    pub fn good(self, limit: Duration) -> String {
        let said = self.end(limit);
        assert_eq!(said.code, Some(0), "{}", said.text);
        said.text
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A python with boto3 and moto: `BGX_PYTHON`, else the one that `.ci/run` made, else `python3`. Without them the test fails.
pub fn python(script: &str, args: &[&str]) -> Command {
    let mut command = Command::new(interpreter());
    command.arg(root().join("tests/py").join(script)).args(args);
    command
}

fn interpreter() -> PathBuf {
    let own = root().join("target/python/bin/python3");
    let given = std::env::var_os("BGX_PYTHON").map(PathBuf::from);
    let found = given.unwrap_or_else(|| if own.is_file() { own } else { PathBuf::from("python3") });
    let known = Command::new(&found).args(["-c", "import boto3, moto.server"]).output();
    assert!(
        known.is_ok_and(|output| output.status.success()),
        "`{}` lacks boto3 or moto. Install them: python3 -m pip install boto3 'moto[server]', or run `bash .ci/run` once; \
         BGX_PYTHON=/path/to/python3 names another python",
        found.display()
    );
    found
}

/// A moto server on a free port that ends with the test.
pub struct Moto {
    pub url: String,
    _server: Program,
}

impl Moto {
    pub fn start() -> Moto {
        let mut command = Command::new(interpreter());
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]);
        let mut server = Program::start(command);
        let line = server.line("Running on ", Duration::from_secs(60));
        let url = line.split_once("Running on ").map(|(_, url)| url.trim().to_owned()).expect("the line holds it");
        Moto { url, _server: server }
    }
}
