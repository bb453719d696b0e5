//! The instruction of a project or a job: trimmed, then counted in characters.

/// Longest instruction, in characters.
pub const MAX_CHARS: usize = 2_000;
/// Shortest instruction of a project, in characters.
pub const MIN_PROJECT_CHARS: usize = 5;
/// Longest title, in characters; a longer first line is cut.
pub const MAX_TITLE_CHARS: usize = 200;

/// Why an instruction is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstructionError {
    /// Nothing but white space.
    #[error("instruction must not be empty")]
    Blank,
    /// Fewer characters than asked for.
    #[error("String should have at least {0} characters")]
    TooShort(usize),
    /// More characters than allowed.
    #[error("String should have at most {0} characters")]
    TooLong(usize),
}

/// A valid instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction(String);

impl Instruction {
    /// An instruction for a project: 5 to 2,000 characters.
    ///
    /// # Errors
    /// Blank, too short or too long.
    pub fn for_project(text: &str) -> Result<Self, InstructionError> {
        Self::checked(text, MIN_PROJECT_CHARS)
    }

    /// An instruction for a job: 1 to 2,000 characters.
    ///
    /// # Errors
    /// Blank or too long.
    pub fn for_job(text: &str) -> Result<Self, InstructionError> {
        Self::checked(text, 1)
    }

    fn checked(text: &str, least: usize) -> Result<Self, InstructionError> {
        let text = text.trim();
        let chars = text.chars().count();
        match chars {
            0 => Err(InstructionError::Blank),
            n if n < least => Err(InstructionError::TooShort(least)),
            n if n > MAX_CHARS => Err(InstructionError::TooLong(MAX_CHARS)),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The default title: the first line.
    pub fn title(&self) -> String {
        self.0.lines().next().unwrap_or_default().trim_end().chars().take(MAX_TITLE_CHARS).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_characters_after_trimming() {
        let cases = [
            ("   ", Err(InstructionError::Blank)),
            (" abcd ", Err(InstructionError::TooShort(5))),
            ("  äöüßé  ", Ok("äöüßé")),
        ];
        for (text, expected) in cases {
            let got = Instruction::for_project(text);
            assert_eq!(got.as_ref().map(Instruction::as_str).map_err(|e| *e), expected, "{text:?}");
        }
        assert!(Instruction::for_job(&"ß".repeat(2_000)).is_ok());
        assert_eq!(Instruction::for_job(&"ß".repeat(2_001)), Err(InstructionError::TooLong(2_000)));
    }

    #[test]
    fn title_is_the_first_line() {
        assert_eq!(Instruction::for_job("first \nsecond").unwrap().title(), "first");
    }
}
