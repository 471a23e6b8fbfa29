import { natPlaneContract } from "../../../test/contract/nat-plane.ts";
import { FakeNatPlane } from "./fake.ts";

natPlaneContract("the fake", () => new FakeNatPlane());
