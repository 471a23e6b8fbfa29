import { ApiProblem, sentenceOf } from "../api.ts";

interface FieldProblem {
  readonly path: string;
  readonly message: string;
}

/** What is wrong with what somebody wrote, as the server says it or the page itself. `message` is one sentence. */
export class FormProblem extends Error {
  override readonly name = "FormProblem";
  readonly errors: readonly FieldProblem[];
  /** One of PROBLEM_TYPES, or none of them. */
  readonly type: string;

  constructor(message: string, errors: readonly FieldProblem[] = [], type = "about:blank") {
    super(message);
    this.errors = errors;
    this.type = type;
  }

  static from(error: unknown): FormProblem {
    if (error instanceof FormProblem) return error;
    if (!(error instanceof ApiProblem)) return new FormProblem(sentenceOf(error));
    const { detail, errors, type } = error.problem;
    return new FormProblem(detail, errors, type);
  }

  /** Of one field; null = nothing. */
  of(path: string): string | null {
    return this.errors.find((error) => error.path === path || error.path.startsWith(`${path}.`))?.message ?? null;
  }
}
