//! The terminal while `top` has it: a screen of its own, given back however it ends.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    event::{self, Event, KeyCode, KeyModifiers},
    queue,
    style::Print,
    terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen},
};

use crate::CliError;

/// The screen, while it is open.
pub(super) struct Screen(());

impl Screen {
    pub(super) fn open() -> Result<Self, CliError> {
        terminal::enable_raw_mode().map_err(CliError::Output)?;
        let screen = Self(());
        let mut out = io::stdout().lock();
        queue!(out, EnterAlternateScreen, Hide).and_then(|()| out.flush()).map_err(CliError::Output)?;
        Ok(screen)
    }

    /// Draws as much of `text` as there is room for, with `note` on the last line.
    pub(super) fn draw(&mut self, text: &str, note: &str) -> Result<(), CliError> {
        let (width, height) = terminal::size().map_err(CliError::Output)?;
        let cut = |line: &str| line.chars().take(usize::from(width)).collect::<String>();
        let mut out = io::stdout().lock();
        let mut draw = || -> io::Result<()> {
            for row in 0..height.saturating_sub(1) {
                let line = text.lines().nth(usize::from(row)).unwrap_or_default();
                queue!(out, MoveTo(0, row), Print(cut(line)), Clear(ClearType::UntilNewLine))?;
            }
            queue!(out, MoveTo(0, height.saturating_sub(1)), Print(cut(note)), Clear(ClearType::UntilNewLine))?;
            out.flush()
        };
        draw().map_err(CliError::Output)
    }

    /// Waits so long, or for a key; answers whether that says to end.
    pub(super) async fn wait(&mut self, time: Duration) -> Result<bool, CliError> {
        let waited = tokio::task::spawn_blocking(move || -> io::Result<bool> {
            Ok(event::poll(time)? && ends(&event::read()?))
        });
        waited.await.map_err(|panic| CliError::Output(io::Error::other(panic)))?.map_err(CliError::Output)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = io::stdout().lock();
        // A terminal that is gone needs nothing back.
        let _gone = queue!(out, Show, LeaveAlternateScreen).and_then(|()| out.flush());
        let _gone = terminal::disable_raw_mode();
    }
}

/// In raw mode, Ctrl-C is a key like any other.
fn ends(event: &Event) -> bool {
    match event {
        Event::Key(key) => match key.code {
            KeyCode::Char('q') | KeyCode::Esc => true,
            KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
            _ => false,
        },
        _ => false,
    }
}
