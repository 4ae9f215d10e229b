//! A rehearsal: changed sources are played against a journal alone, to see whether they would have done what it holds.

use super::event::Event;
use super::journal::Journal;
use super::replay::Replay;
use super::{Halt, Opening, Run};

impl Run {
    /// Answers every step from these events and stops behind the last of them. It has no lock, and no call goes out.
    pub fn rehearsal(mut opening: Opening, events: &[Event]) -> Result<Run, Halt> {
        let resumed = opening.resumed("resume");
        let mut journal = Journal::in_memory();
        events.iter().try_for_each(|event| journal.append(event)).map_err(|e| Halt::Journal { why: e.to_string() })?;
        opening.journal = journal;
        let mut run = Run::known(opening, events);
        run.record(resumed)?;
        run.replay = Replay::whole(events);
        run.rehearses = true;
        Ok(run)
    }

    /// After a rehearsal: the sources agree, if they came to where the journal ends. `ended` says how they ended before that.
    pub fn rehearsed(&self, ended: &str) -> Result<(), Halt> {
        if self.step >= self.replay.cutoff {
            return Ok(());
        }
        let step = self.step + 1;
        Err(Halt::Diverged { step, recorded: self.replay.told(step), asked: ended.to_owned(), fields: Vec::new() })
    }

    pub(super) fn check_rehearsal(&self) -> Result<(), Halt> {
        match self.rehearses && self.step >= self.replay.cutoff && self.inside == 0 {
            true => Err(Halt::Paused { why: "the journal ends here".to_owned() }),
            false => Ok(()),
        }
    }

    /// A question to the account to which the journal has no answer.
    pub(super) fn not_told(&self, asked: &str) -> Halt {
        Halt::Diverged { step: self.step, recorded: self.replay.told(self.step), asked: asked.to_owned(), fields: Vec::new() }
    }
}
