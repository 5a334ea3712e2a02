//! The program: reads the command line and hands over.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use peerchat::{
    adopt,
    bench::{self, BenchError},
    chat::{self, ChatError},
    cli::{self, Cli, Command},
    config, inspect, telemetry,
    ui::{self, log_print::Format},
};
use tokio::runtime::{Builder, Runtime};

/// Exit code for a command line or config file that makes no sense.
const USAGE: u8 = 2;

/// How long the last lines of the log may take at the end.
const LAST_WAIT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = Cli::read();
    let log = telemetry::init();
    let ended = run(cli.command);
    let log = match &ended {
        Ok(_) => log,
        Err(error) => {
            // Every error names its cause itself. Nobody can be told where stderr is closed or stuck.
            let log = log.unwrap_or_else(telemetry::lines);
            log.put(format!("peerchat: {error}\n").as_bytes());
            Some(log)
        }
    };
    if let Some(log) = log {
        log.flush(LAST_WAIT);
    }
    match ended {
        Ok(code) => code,
        Err(error) => {
            let usage = error.is::<config::ConfigError>();
            let bench = error.downcast_ref().map(BenchError::exit_code);
            ExitCode::from(bench.unwrap_or(if usage { USAGE } else { 1 }))
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let out = io::stdout();
    match command {
        Command::Chat(typed) => {
            let config = config::chat(typed)?;
            let json = config.json;
            let runtime = runtime()?;
            let end = runtime.block_on(chat::run(config));
            // A thread may still wait for the keyboard.
            runtime.shutdown_background();
            match end {
                Ok(ending) => Ok(ExitCode::from(ending.exit_code())),
                Err(error) => {
                    if json && !error.is_told() {
                        ui::json::print_error(error.code(), &error.to_string(), &mut out.lock())?;
                    }
                    Err(error.into())
                }
            }
        }
        Command::Log(typed) => {
            let config = config::log(&typed.user, typed.data, typed.authority)?;
            let conversation = config::conversation(&typed.conversation)?;
            let format = if typed.json { Format::Json } else { Format::Text };
            inspect::print(&config, conversation, format, &mut io::BufWriter::new(out.lock()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify(typed) => {
            let config = config::log(&typed.user, typed.data, typed.authority)?;
            inspect::verify(&config, &mut out.lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Adopt(typed) => {
            let config = config::adopt(typed)?;
            adopt::run(&config, &mut io::stdin().lock(), &mut out.lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Bench(typed) => {
            let runtime = runtime()?;
            let end = runtime.block_on(bench::run(typed));
            // A thread may still read logs that are gone.
            runtime.shutdown_background();
            Ok(end?)
        }
        Command::BenchPart { part } => {
            let runtime = runtime()?;
            let end = runtime.block_on(bench::run_part(part));
            // A thread may still wait for orders.
            runtime.shutdown_background();
            end
        }
        Command::Completions { shell } => {
            match out.lock().write_all(&cli::completions(shell)) {
                // Whoever reads may have enough.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
                _ => Ok(ExitCode::SUCCESS),
            }
        }
    }
}

/// One thread: a message passes from socket to log to screen without waking another one.
fn runtime() -> Result<Runtime, ChatError> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().map_err(ChatError::System)
}
