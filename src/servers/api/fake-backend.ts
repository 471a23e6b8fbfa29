import type { ApiBackend, CountriesBackend } from "./backend.ts";
import { FakeAccess } from "./fake-access.ts";
import { FakeChecks } from "./fake-checks.ts";
import { FakeForwards } from "./fake-forwards.ts";
import { FakeGateway } from "./fake-gateway.ts";
import { FakeSettings } from "./fake-settings.ts";
import { FakeSsh } from "./fake-ssh.ts";

/** A backend in memory, for tests of what is in front of it. */
export class FakeBackend implements ApiBackend {
  readonly access = new FakeAccess();
  readonly forwards = new FakeForwards();
  readonly gateway: FakeGateway | null = new FakeGateway();
  readonly ssh: FakeSsh | null = new FakeSsh(this.forwards);
  readonly checks = new FakeChecks(this.forwards);
  readonly settings = new FakeSettings();
  countries: CountriesBackend | null = null;
}
