//! What the scripted model says: fixed commands, or commands chosen by what the instruction asks for.

use serde::Deserialize;
use serde_json::Value;

/// Commands for instructions that hold certain words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Any of these in the instruction, in lower case; an empty list fits every instruction.
    pub when: Vec<String>,
    /// Shell commands, one tool call each.
    pub run: Vec<String>,
    /// The last message.
    pub say: String,
}

/// A model's whole behaviour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script(Vec<Rule>);

const README: &str =
    "cat > README.md <<'END'\n# Fibonacci\n\nRun `python3 app.py`; test with `python3 tests/test_cli.py`.\nEND";
const APP: &str = r#"cat > app.py <<'END'
def fibonacci(count):
    numbers = [0, 1]
    while len(numbers) < count:
        numbers.append(numbers[-2] + numbers[-1])
    return numbers[:count]


if __name__ == "__main__":
    print(*fibonacci(10))
END"#;
const TEST: &str = r#"mkdir -p tests && cat > tests/test_cli.py <<'END'
import pathlib
import subprocess
import sys
import unittest

APP = pathlib.Path(__file__).resolve().parent.parent / "app.py"


class TestCli(unittest.TestCase):
    def test_output(self):
        run = subprocess.run([sys.executable, str(APP)], capture_output=True, text=True, check=True)
        self.assertEqual(run.stdout, "0 1 1 2 3 5 8 13 21 34\n")


if __name__ == "__main__":
    unittest.main()
END"#;
const RUN_TEST: &str = "python3 tests/test_cli.py";

impl Script {
    /// The same commands whatever is asked.
    pub fn commands(run: Vec<String>) -> Self {
        Self(vec![Rule { when: Vec::new(), run, say: "done".to_owned() }])
    }

    /// The first rule that fits is followed; when none does, there is only a message that says so.
    pub fn rules(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// What `make live` asks for: a refactoring, a comment, a long run, and for anything else the small Fibonacci project.
    pub fn built_in() -> Self {
        let rule = |when: &[&str], run: &[&str], say: &str| Rule {
            when: when.iter().map(|&word| word.to_owned()).collect(),
            run: run.iter().map(|&command| command.to_owned()).collect(),
            say: say.to_owned(),
        };
        let rename = "sed -i 's/fibonacci(/fibonacci_numbers(/g' app.py";
        let comment = "printf '# %s\\n' 'a comment by the scripted model' >> app.py";
        let slowly = ["sleep 1; echo one", "sleep 1; echo two", "sleep 1; echo three > progress.txt"];
        Self(vec![
            rule(&["refactor"], &[rename, RUN_TEST], "Renamed fibonacci to fibonacci_numbers and ran the test."),
            rule(&["comment"], &[comment], "Appended a comment to app.py."),
            rule(&["long run", "long-running", "slowly"], &slowly, "Took its time."),
            rule(&[], &[README, APP, TEST, RUN_TEST], "Created a Fibonacci program with a test."),
        ])
    }

    /// The commands and the last message for an instruction.
    pub(super) fn play(&self, instruction: &str) -> (&[String], &str) {
        let instruction = instruction.to_lowercase();
        let fits =
            |rule: &&Rule| rule.when.is_empty() || rule.when.iter().any(|word| instruction.contains(word.as_str()));
        self.0.iter().find(fits).map_or((&[], "no rule fits this instruction"), |rule| (&rule.run, &rule.say))
    }
}

/// Where a conversation stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conversation {
    /// The user's last words.
    pub(super) instruction: String,
    /// Tool results since then, which is the number of commands already run.
    pub(super) step: usize,
}

impl Conversation {
    pub(super) fn of(request: &Value) -> Self {
        let mut conversation = Self { instruction: String::new(), step: 0 };
        for item in request["input"].as_array().into_iter().flatten() {
            match (item["type"].as_str(), item["role"].as_str()) {
                (Some("message") | None, Some("user")) => {
                    let texts =
                        item["content"].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
                    conversation = Self { instruction: texts.collect(), step: 0 };
                }
                (Some("function_call_output"), _) => conversation.step += 1,
                _ => {}
            }
        }
        conversation
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_step_is_counted_since_the_users_last_words() {
        let user =
            |text: &str| json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
        let output = json!({"type": "function_call_output", "call_id": "c", "output": "x"});
        let developer =
            json!({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]});
        let request = json!({"input": [developer, user("env"), output, user("do it"), {"type": "function_call"}, output, output]});
        assert_eq!(Conversation::of(&request), Conversation { instruction: "do it".to_owned(), step: 2 });
        assert_eq!(Conversation::of(&json!({})), Conversation { instruction: String::new(), step: 0 });
    }

    #[test]
    fn rules_are_chosen_by_the_instruction() {
        let script = Script::built_in();
        assert_eq!(script.play("Please REFACTOR app.py").0.len(), 2);
        assert_eq!(script.play("append a comment").0.len(), 1);
        assert_eq!(script.play("a Fibonacci program").0.len(), 4);
        assert_eq!(Script::rules(Vec::new()).play("x"), (&[][..], "no rule fits this instruction"));
        assert_eq!(Script::commands(vec!["true".to_owned()]).play("x").0, ["true"]);
    }
}
