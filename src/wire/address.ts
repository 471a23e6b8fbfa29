/** A network, canonical text: `192.0.2.0/24`, `2001:db8::/32`; host bits zero. Made only by parseCidr. */
export type Cidr = string & { readonly __brand: "Cidr" };
