// An app with the library: `library-app.mjs LIBRARY KEY-FILE JOIN-CODE WAY FORWARDS`. WAY "led": the library leads visitors to the
// service; "piped": the app has them as sockets, and pipes them there, as an app that looks at them does.
import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";

const [, , library, keyFile, joinCode, way, forwards] = process.argv;
const { enrol, openRelay } = await import(library);
if (joinCode !== "") await writeFile(keyFile, (await enrol({ joinCode })).key);
const relay = await openRelay({ key: await readFile(keyFile, "utf8") });
for (const { name, protocol, entryPort, servicePort } of JSON.parse(forwards)) {
  const pipe = (socket) => {
    const service = connect({ port: servicePort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    service.on("error", () => socket.destroy()).on("close", () => socket.destroy());
    socket.on("close", () => service.destroy());
    socket.pipe(service).pipe(socket);
  };
  const onVisitor = way === "piped" && protocol === "tcp" ? pipe : undefined;
  await relay.expose({ name, ports: `${entryPort}:${servicePort}`, protocol }, onVisitor);
}
console.log("ready");
