/** What `ip` and wg-quick both take: IFNAMSIZ is 16 with its closing zero (linux/if.h). */
const INTERFACE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/;

/** A name that is one argument, one file name under /run/wireguard, and no option. */
export function isInterfaceName(text: string): boolean {
  return INTERFACE_NAME.test(text);
}
