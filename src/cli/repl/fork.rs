//! `:fork`: the same prompt over a sandbox that is a copy of the account, and what to type for real after it.

use super::terminal::Reader;
use super::{Desk, Leave, Left, Place, say, say_dim};
use crate::cli::failure::Failure;
use crate::cli::report::{self, Goal};
use crate::host::Host;
use crate::host::clone::{Cloned, Denied};
use crate::run::Answers;
use crate::sandbox::Sandbox;
use crate::sandbox::world::World;
use crate::script::repl::Session;
use crate::script::session::Request;

impl Desk<'_> {
    /// Lets somebody try things in a copy of the account, until `:back`.
    pub(super) fn fork(&self, reader: &mut Reader, session: &Session, place: &mut Place) -> std::io::Result<()> {
        let host = match self.copy(place.host) {
            Ok(host) => host,
            Err(failure) => {
                failure.print();
                place.failed.get_or_insert((failure.text, false));
                return Ok(());
            }
        };
        let answers = Answers { confirm: Some(self.env.name.clone()), ..Answers::default() };
        let own = self.request(&host, Answers::default());
        let request = Request {
            run_id: "fork".to_owned(),
            approved: true,
            answers: Answers { terminal: own.answers.terminal, ..answers },
            ..Request { answers: Answers::default(), ..own }
        };
        let mut fork = match session.fork(self.config, &host, request) {
            Ok(fork) => fork,
            Err(halt) => {
                let failure = Failure::from(halt);
                failure.print();
                place.failed.get_or_insert((failure.text, false));
                return Ok(());
            }
        };
        say_dim(self.paint, "a copy of the account: nothing real is touched; :back leaves it");
        let mut there = Place { word: "FORK", failed: None, ..self.place(&host, &fork) };
        let leave = match self.talk(reader, &mut fork, &mut there)? {
            Left::Back => Leave::Done,
            Left::Session(leave) => leave,
        };
        let (tried, steps) = (fork.tried(), fork.steps());
        report::end(&fork.leave(leave), &host, &[self.env], false, Goal::Forward);
        if steps.is_empty() {
            say("back; the fork changed nothing");
            return Ok(());
        }
        tried.warnings.iter().for_each(|warning| say_dim(self.paint, warning));
        say("back; what the fork did:");
        steps.iter().for_each(|step| say(&format!("  {}", step.text)));
        say("for real, type:");
        tried.text.lines().for_each(|line| say(&format!("  {line}")));
        Ok(())
    }

    /// A sandbox of its own, in memory, in the state of the account now.
    fn copy(&self, host: &Host) -> Result<Host, Failure> {
        let (mut world, denied) = self.world(host)?;
        // The lock of the real run is none of the fork's.
        for env in self.config.envs.values() {
            if let Some(objects) = world.buckets.get_mut(&env.state.bucket) {
                objects.remove(&env.lock_key());
            }
        }
        let mut sandbox = Sandbox::new(world);
        denied.iter().for_each(|call| sandbox.faults.add(call.rule()));
        Ok(Host::over(sandbox, host.seed, None)?)
    }

    /// The account as it is, and the calls that it refuses. What it does not tell is said, with what follows from that.
    fn world(&self, host: &Host) -> Result<(World, Vec<Denied>), Failure> {
        let Some(sandbox) = &host.sandbox else {
            let Cloned { world, unknown, denied, .. } = host.clone_of(&[self.env])?.timed(self.config)?;
            for unknown in &unknown {
                say_dim(self.paint, &format!("not known: {} ({}); {}", unknown.what, unknown.why, unknown.consequence));
            }
            return Ok((world, denied));
        };
        host.save()?;
        let sandbox = sandbox.lock().expect("no panic while the sandbox was held");
        Ok((sandbox.world.clone(), Vec::new()))
    }
}
