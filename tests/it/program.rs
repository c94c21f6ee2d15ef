//! The executable as a process of the test's own, and what the tests ask of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// Nothing that these tests wait for takes longer, however busy the machine.
pub const LIMIT: Duration = Duration::from_secs(120);

/// By which the tests ask the consoles of the programs that they start.
pub const CONSOLE_KEY: &str = "only-for-the-tests";

/// Runs the executable to its end.
pub fn stroll(args: &[&str]) -> Output {
    command(args).output().expect("the executable starts")
}

/// The executable with these arguments, as quiet as it is by default.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stroll"));
    command
        .args(args)
        .env_remove("RUST_LOG")
        .env("STROLL_CONSOLE_KEY", CONSOLE_KEY)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// What was printed, as text.
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it prints UTF-8")
}

/// A path of the test's own as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().expect("a path of the test is UTF-8")
}

/// What replaying those arguments prints.
#[track_caller]
pub fn replayed(args: &[&str]) -> String {
    let args: Vec<&str> = [&["replay"], args].concat();
    let output = stroll(&args);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    assert_eq!(said, "", "{args:?}");
    text(&output.stdout).to_owned()
}

/// A running `stroll`, killed when it goes out of scope.
pub struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
    said: Arc<Mutex<String>>,
}

impl Program {
    /// Starts it.
    pub fn start(args: &[&str]) -> Self {
        Program::with_env(args, &[])
    }

    /// Starts it with these variables in its environment.
    pub fn with_env(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut child = command(args)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the executable starts");
        let stdout = child.stdout.take().expect("it is piped");
        let mut stderr = child.stderr.take().expect("it is piped");
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let said = Arc::<Mutex<String>>::default();
        let heard = said.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                heard.lock().expect("no reader panics").push_str(&text);
            }
        });
        Program { child, lines, said }
    }

    /// What it has said on standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("no reader panics").clone()
    }

    /// The next line on its standard output.
    #[track_caller]
    pub fn line(&self) -> String {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => line,
            Err(_) => panic!("it prints nothing, and says: {}", self.said()),
        }
    }

    /// The console's address, from the line that says that the store is open.
    #[track_caller]
    pub fn console(&self) -> SocketAddr {
        let line = self.line();
        let address = line.split_once("http://").map(|(_, rest)| {
            let end = rest.find([',', ' ']).unwrap_or(rest.len());
            &rest[..end]
        });
        let parsed = address.and_then(|address| address.parse().ok());
        parsed.unwrap_or_else(|| panic!("no address in: {line}"))
    }

    /// Kills it as a power cut would.
    pub fn kill(mut self) {
        self.end();
    }

    /// The same, for one that is to be replaced.
    pub fn kill_now(&mut self) {
        self.end();
    }

    /// Whether it has printed nothing that was not listened to.
    pub fn is_silent(&self) -> bool {
        self.lines.try_recv().is_err()
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("it can be waited for")
            .is_none()
    }

    /// Sends it SIGTERM.
    pub fn terminate(&self) {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// Waits for its good end; what it printed since it was last listened to.
    #[track_caller]
    pub fn ends_well(self) -> String {
        let said = self.said.clone();
        let (code, printed) = self.wait();
        let said = said.lock().expect("no reader panics");
        assert_eq!(code, Some(0), "{printed}{said}");
        printed
    }

    /// Waits for its end; its exit code and what it printed since it was last listened to.
    #[track_caller]
    pub fn wait(mut self) -> (Option<i32>, String) {
        let start = Instant::now();
        while self.is_running() {
            assert!(start.elapsed() < LIMIT, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
        let status = self.child.wait().expect("it has ended");
        (status.code(), self.lines.iter().map(|l| l + "\n").collect())
    }

    fn end(&mut self) {
        // One that has ended by itself cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

/// Asks a console for a page; status line and body.
pub fn get(console: SocketAddr, path: &str) -> std::io::Result<(String, String)> {
    ask(console, "GET", path)
}

/// Asks a console to do something, or for a page; status line and body.
pub fn ask(console: SocketAddr, method: &str, path: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(console)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {console}\r\nAuthorization: Bearer {CONSOLE_KEY}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    Ok((status.to_owned(), body.to_owned()))
}

/// What a console shows, as JSON.
#[track_caller]
pub fn state(console: SocketAddr) -> serde_json::Value {
    let (status, body) = get(console, "/state.json").expect("the console answers");
    assert_eq!(status, "HTTP/1.1 200 OK");
    serde_json::from_str(&body).expect("it is JSON")
}

/// Waits until what a console shows is as it should be.
#[track_caller]
pub fn wait_for(
    console: SocketAddr,
    what: &str,
    is_so: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let start = Instant::now();
    loop {
        let state = state(console);
        if is_so(&state) {
            return state;
        }
        assert!(start.elapsed() < LIMIT, "{what}, but: {state:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
