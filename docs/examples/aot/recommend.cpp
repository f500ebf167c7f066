// Recommends for many users at once, from C++, with threads of our own.
//
//   recommend_cpp < HISTORIES        one a line, oldest item first
#include <qia.h>

#include <cstdint>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

// What qia_workspace calls when it has work for several threads.
static void run(void *, int n, void (*work)(void *, int), void *job) {
  std::vector<std::thread> threads;
  for (int i = 1; i < n; i++) threads.emplace_back(work, job, i);
  work(job, 0);
  for (std::thread &thread : threads) thread.join();
}

int main() {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> items;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    for (std::int32_t item; words >> item;) items.push_back(item);
    offsets.push_back(static_cast<std::int64_t>(items.size()));
  }
  const std::int64_t users = static_cast<std::int64_t>(offsets.size()) - 1;
  const int top = 5;
  std::vector<std::int32_t> best(static_cast<std::size_t>(users) * top);
  const qia_lists histories = {offsets.data(), items.data()};

  std::vector<char> memory(qia_workspace_bytes(users, 2));
  qia_workspace workspace = {};
  workspace.memory = memory.data();
  workspace.bytes = memory.size();
  workspace.threads = 2;
  workspace.run = run;
  const qia_status status =
      qia_top(nullptr, &workspace, users, &histories, nullptr, QIA_SEEN_EXCLUDE, top, best.data(), nullptr);
  if (status != QIA_OK) {
    std::cerr << "recommend_cpp: " << qia_status_text(status) << '\n';
    return 1;
  }
  for (std::int64_t user = 0; user < users; user++) {
    for (int i = 0; i < top; i++)
      std::cout << best[static_cast<std::size_t>(user * top + i)] << (i < top - 1 ? ' ' : '\n');
  }
  return 0;
}
