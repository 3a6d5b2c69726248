// Puts new pastes at the top of the list as they come.
const list = document.getElementById("pastes");
const state = document.getElementById("state");
const source = new EventSource("/feed");
source.onopen = () => { state.textContent = "live"; };
source.onerror = () => { state.textContent = "reconnecting"; };
source.onmessage = (event) => {
  const paste = JSON.parse(event.data);
  const item = document.createElement("li");
  item.className = "new";
  const link = document.createElement("a");
  link.href = "/paste/" + paste.id;
  link.textContent = paste.title;
  item.append(link, " by " + paste.author);
  list.prepend(item);
};
