/** Of this program's own sentences: a device that is called so names nobody, and replacing it would spoil them all. */
const OWN_WORDS = `a about above address addresses agent agents all allow an and any app apps as ask asked at away bad behind
by can cannot certificate check checks clock code config connect connected connection day days default demo device devices
did direct directory disabled disk dns does down end error ended exit expose failed false file files find firewall first for
forward forwards from gateway good has have here home host hour hours http https in inside interface internet ip is it its
join key kernel lan lease limit link list listen listens local log machine main map mapping mappings ms my name names nat
network new nft no none not nothing null of off ok on one only open or other out outside own page path pcp peer peers ping
port ports program protocol public read ready refused relay remote restart role root route router run running runs see serve
server service services set socks start state status stop store tcp test that the there this time tls to true trust trigger
tunnel two udp unhealthy up upnp upstream user version via visitor visitors vpn waiting wan web with within`;

export const VOCABULARY: ReadonlySet<string> = new Set(OWN_WORDS.split(/\s+/));

/** Last labels of what looks like a host name and is a file, and first ones of what is a setting. */
export const FILE_ENDINGS: ReadonlySet<string> = new Set(
  "toml db json pem sock lock ts js txt key conf service md sh log tmp db-wal db-shm".split(" "),
);
export const SETTING_STARTS: readonly string[] = ["net.ipv4.", "net.ipv6.", "net.core.", "kernel.", "fs."];
/** Directories that are the same on every machine. */
export const SYSTEM_PATHS = /^\/(?:var\/lib\/hatchway|etc\/hatchway|proc|sys|usr|bin|sbin|run|dev)(?:\/|$)/;
