//! Breaking the product on purpose, in the run's own database: a checker that stays green then is worth nothing.

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use tokio_postgres::Client;

/// What to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// Finish takes the result of an attempt that is not the current one any more.
    Fence,
    /// Workers are declared over before their lease runs out, while they may still run what they have.
    Lease,
}

impl Sabotage {
    /// Functions, and what is replaced in their text.
    const fn edit(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Fence => ("dd\\_finish\\_v%", "RETURN 'fenced';", "NULL;"),
            Self::Lease => {
                ("dd\\_end\\_expired\\_workers\\_v%", "lease_until + grace", "lease_until - interval '1300 ms'")
            }
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// The function does not say any more what is to be replaced.
    pub(crate) async fn carry_out(self, client: &Client) -> Result<()> {
        let (functions, good, bad) = self.edit();
        let rows = client
            .query("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname LIKE $1", &[&functions])
            .await
            .context("find the function")?;
        let mut edited = 0;
        for row in rows {
            let text: String = row.get(0);
            if text.contains(good) {
                client.batch_execute(&text.replace(good, bad)).await.context("replace the function")?;
                edited += 1;
            }
        }
        ensure!(edited > 0, "no function like {functions} says {good}");
        Ok(())
    }
}
