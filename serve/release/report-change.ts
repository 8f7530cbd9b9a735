/** What promote and rollback say alike. */
import type { MadeChange } from '../store/channel-pointer.ts';

/** The change is made, so this is no error. */
export function reportRecordProblem({ change, recordProblem }: MadeChange, report: (line: string) => void): void {
  if (recordProblem === undefined) return;
  report(
    `the change is made, its record (${change.seq}) could not be written: ${recordProblem}; the next change writes it`,
  );
}
